//! Capacity beside the floor of this machine and nginx-rtmp.
fn main() -> std::process::ExitCode {
    rill::bench::main(std::env::args_os().skip(1).filter(|a| a != "--bench"))
}
