//! `appliance`: what the image of an SD card needs that neither busybox nor the server has.

mod clock;
mod grow;

use std::process::ExitCode;

const USAGE: &str = "\
usage: appliance grow-table PARTITION     grow the last partition of a card to the card's end
       appliance grow-fs PARTITION DIR    grow the ext4 in it, which is mounted at DIR
       appliance clock SERVER...          set the clock by the first SNTP server that answers";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let said = match arguments[..] {
        ["grow-table", partition] => grow::table(partition).map_err(|error| format!("{partition}: {error}")),
        ["grow-fs", partition, directory] => {
            grow::file_system(partition, directory).map_err(|error| format!("{partition}: {error}"))
        }
        ["clock", ref servers @ ..] if !servers.is_empty() => clock::set(servers).map(Some),
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match said {
        Ok(line) => {
            if let Some(line) = line {
                println!("appliance: {line}");
            }
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("appliance: {error}");
            ExitCode::FAILURE
        }
    }
}
