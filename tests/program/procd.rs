//! OpenWrt's service script, with the functions of `rc.common` and `procd` that it calls replaced by ones that print.

use std::process::Command;

use crate::binary::{run, scratch};

#[test]
fn the_command_that_procd_is_given_is_one_that_serves() {
    let root = scratch("procd");
    let script = include_str!("../../boards/openwrt/rill.init");
    let mut script = script.replace("/usr/bin/rill", env!("CARGO_BIN_EXE_rill"));
    for (variable, place) in [("config=", "etc/rill/rill.toml"), ("root=", "srv"), ("run=", "run")] {
        let line = script.lines().find(|line| line.starts_with(variable)).unwrap().to_owned();
        script = script.replace(&line, &format!("{variable}{}", root.join(place).display()));
    }
    script += "
        user_exists() { false; }
        group_add_next() { echo 32768; }
        user_add() { echo account \"$1\" \"$3\"; }
        chown() { :; }
        procd_open_instance() { :; }
        procd_close_instance() { echo closed; }
        procd_set_param() { what=$1; shift; for value; do echo \"$what $value\"; done; }
        procd_send_signal() { echo signal \"$@\"; }
        start_service
        start_service
        reload_service
    ";
    let output = Command::new("sh").args(["-euc", &script]).output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    assert!(said.starts_with("account rill 32768\n") && said.ends_with("closed\nsignal rill * 1\n"), "{said}");
    let first = said.split_inclusive("closed\n").next().unwrap();
    let command: Vec<&str> = first.lines().filter_map(|line| line.strip_prefix("command ")).collect();
    assert_eq!(command[..2], [env!("CARGO_BIN_EXE_rill"), "serve"]);
    let check = [&["-t"][..], &command[1..]].concat();
    assert_eq!(run(&check), (0, "the configuration is right\n".to_owned(), String::new()));
    // procd gives it so many open files, and who raises connections gets an error that says so.
    let (_, limits, _) = run(&[&["limits"], &command[2..], &["--json"]].concat());
    let limits: serde_json::Value = serde_json::from_str(&limits).unwrap();
    assert_eq!(limits["board"], "openwrt-armv7");
    let connections =
        limits["limits"].as_array().unwrap().iter().find(|row| row["key"] == "limits.connections").unwrap();
    let files: u64 =
        said.lines().find_map(|line| line.strip_prefix("limits nofile=")?.split(' ').next()?.parse().ok()).unwrap();
    assert!(connections["value"].as_str().unwrap().parse::<u64>().unwrap() + 64 <= files, "{connections}");
}
