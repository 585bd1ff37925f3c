//! `appliance`: what the image of an SD card needs that neither busybox nor the server has.

mod clock;
mod dns;
mod grow;
mod mdns;
mod responder;

use std::process::ExitCode;

use responder::{Advertised, Service};

const USAGE: &str = "\
usage: appliance grow-table PARTITION     grow the last partition of a card to the card's end
       appliance grow-fs PARTITION DIR    grow the ext4 in it, which is mounted at DIR
       appliance clock SERVER...          set the clock by the first SNTP server that answers
       appliance name HOST FILE [rtmp=PORT] [http=PORT] [ipv6]
                                          hold HOST.local on the network, and advertise the services at these ports; FILE
                                          has the name that is held, which is HOST-2.local when the other is taken";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let said = match arguments[..] {
        ["grow-table", partition] => grow::table(partition).map_err(|error| format!("{partition}: {error}")),
        ["grow-fs", partition, directory] => {
            grow::file_system(partition, directory).map_err(|error| format!("{partition}: {error}"))
        }
        ["clock", ref servers @ ..] if !servers.is_empty() => clock::set(servers).map(Some),
        ["name", host, file, ref offers @ ..] if !offers.is_empty() => hold(host, file, offers),
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

fn hold(host: &str, file: &str, offers: &[&str]) -> Result<Option<String>, String> {
    // RFC 952, and room for a number within the 63 bytes of a label.
    let letter = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    if !(1..=50).contains(&host.len()) || !host.bytes().all(letter) {
        return Err(format!("{host} is no name of a host"));
    }
    // A host's name is written small, an instance's like a name.
    let instance = host[..1].to_uppercase() + &host[1..];
    let (mut services, mut ipv6) = (Vec::new(), false);
    for offer in offers {
        match offer.split_once('=') {
            None if *offer == "ipv6" => ipv6 = true,
            Some((name @ ("rtmp" | "http"), port)) => {
                let port = port.parse().map_err(|_| format!("{port} is no port"))?;
                services.retain(|service: &Service| service.name != name);
                services.push(Service { name: name.to_owned(), port });
            }
            _ => return Err(format!("{offer} is none of rtmp=PORT, http=PORT and ipv6")),
        }
    }
    let advertised = Advertised { host: host.to_owned(), instance, services, ipv6 };
    mdns::hold(advertised, file).map(|()| None).map_err(|error| error.to_string())
}
