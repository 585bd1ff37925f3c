//! `appliance`: what the image of an SD card needs that neither busybox nor the server has.

mod clock;
mod dns;
mod grow;
mod mdns;
mod responder;

use std::process::ExitCode;

const USAGE: &str = "\
usage: appliance grow-table PARTITION     grow the last partition of a card to the card's end
       appliance grow-fs PARTITION DIR    grow the ext4 in it, which is mounted at DIR
       appliance clock SERVER...          set the clock by the first SNTP server that answers
       appliance name HOST PORT PAGE FILE [ipv6]
                                          hold HOST.local on the network, and advertise the RTMP server at PORT and its
                                          page at port PAGE, unless that is 0; FILE has the name that is held, which is HOST-2.local when the other is taken";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let said = match arguments[..] {
        ["grow-table", partition] => grow::table(partition).map_err(|error| format!("{partition}: {error}")),
        ["grow-fs", partition, directory] => {
            grow::file_system(partition, directory).map_err(|error| format!("{partition}: {error}"))
        }
        ["clock", ref servers @ ..] if !servers.is_empty() => clock::set(servers).map(Some),
        ["name", host, port, page, file, ref more @ ..] if matches!(more, [] | ["ipv6"]) => {
            hold(host, [port, page], file, more.len() == 1)
        }
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

fn hold(host: &str, ports: [&str; 2], file: &str, ipv6: bool) -> Result<Option<String>, String> {
    let number = |port: &str| port.parse::<u16>().map_err(|_| format!("{port} is no port"));
    let [port, page] = [number(ports[0])?, number(ports[1])?];
    let page = Some(page).filter(|&port| port > 0);
    // RFC 952, and room for a number within the 63 bytes of a label.
    let letter = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    if !(1..=50).contains(&host.len()) || !host.bytes().all(letter) {
        return Err(format!("{host} is no name of a host"));
    }
    // A host's name is written small, an instance's like a name.
    let instance = host[..1].to_uppercase() + &host[1..];
    let service = responder::Service { host: host.to_owned(), instance, port, page, ipv6 };
    mdns::hold(service, file).map(|()| None).map_err(|error| error.to_string())
}
