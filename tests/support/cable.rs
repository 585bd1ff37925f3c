//! Two network namespaces and a cable between them, for tests of what happens on a line. They need no privileges, and end
//! with their processes.

use std::process::{Command, Stdio};

/// Lays the cable. What follows in the script runs at its near end, and `$far COMMAND` at the other, which is 10.209.0.2.
const LAY: &str = r#"
set -e
ip link set lo up
unshare --net sleep 300 &
peer=$!
while [ "$(readlink /proc/$peer/ns/net)" = "$(readlink /proc/self/ns/net)" ]; do sleep 0.01; done
ip link add cable type veth peer name cable netns $peer
ip address add 10.209.0.1/24 dev cable
ip link set cable up
far="nsenter --net=/proc/$peer/ns/net"
$far ip link set lo up
$far ip address add 10.209.0.2/24 dev cable
$far ip link set cable up
"#;

/// A command that lays a cable and then runs `script`, to which arguments may be added.
pub fn with_cable(script: &str) -> Command {
    let mut command = Command::new("unshare");
    command.args(["--user", "--map-root-user", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]);
    command.args(["sh", "-c", &format!("{LAY}{script}"), "sh"]).stdin(Stdio::null());
    command
}

/// Why `script` cannot run with a cable here, if so.
pub fn missing(script: &str) -> Option<String> {
    match with_cable(script).output() {
        Err(error) => Some(format!("unshare: {error}")),
        Ok(output) if !output.status.success() => Some(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
        Ok(_) => None,
    }
}
