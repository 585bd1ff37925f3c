//! The script that writes a board's screen, with the commands that it calls replaced by ones that print.

use std::process::Command;

/// What it says is the gravest where `rill ctl --json diagnose` prints these rows.
fn gravest(rows: &[&str]) -> String {
    let script = include_str!("../../boards/image/rootfs/etc/init.d/screen");
    let between = |begin: &str, end: &str| {
        let from = script.find(begin).unwrap();
        &script[from..from + script[from..].find(end).unwrap() + end.len()]
    };
    let functions = [between("lead=", "\n"), between("short() {", "}\n"), between("gravest() {", "\n}\n")].concat();
    let script = format!("timeout() {{ shift; \"$@\"; }}\nrill() {{ printf '%s' \"$ROWS\"; }}\n{functions}gravest");
    let rows: String = rows.iter().map(|row| format!("{row}\n")).collect();
    let output = Command::new("sh").args(["-uc", &script]).env("ROWS", rows).output().unwrap();
    assert_eq!((output.status.success(), output.stderr.as_slice()), (true, &b""[..]), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn the_gravest_finding_that_the_screen_does_not_see_itself_has_a_line_and_its_remedy_another() {
    let hot = r#"{"kind":"hot","stream":null,"seconds":4,"what":"the board is too hot: 85 °C","remedy":"give it air","figures":[85]}"#;
    let worn = r#"{"kind":"card_worn","stream":null,"seconds":4,"what":"the card is worn: about 90 % of its life are used up","remedy":"copy what is on it, and replace it","figures":[90]}"#;
    let silent = r#"{"kind":"silent","stream":"live/a \"b\" and a name that is long","seconds":4,"what":"nothing has come from the encoder for 4 s","remedy":"see whether the encoder runs","figures":[4]}"#;
    assert_eq!(gravest(&[]), "");
    assert_eq!(gravest(&[hot]), "", "it shows the temperature anyway");
    assert_eq!(
        gravest(&[hot, worn, silent]),
        "! the card is worn: about 90 % of its life are used up\n  copy what is on it, and replace it\n"
    );
    assert_eq!(
        gravest(&[silent]),
        "! live/a \\\"b\\\" and a name that is...: nothing has come from the encoder for 4 s\n  see whether the encoder runs\n"
    );
}
