//! What packages carry beside the program: manual pages, completions of shells, and the configuration file.
//!
//! All of it follows from the tables that the program itself works by, so none of it can be out of date. The program has no
//! command for it; `boards/package/files.rs` writes it when a package is built.

use std::fmt::Write as _;

use crate::config::{self, Config, Origin, TakesEffect};
use crate::{apps, bench, board};

use super::arguments::{COMMANDS, OPTIONS, Opt};
use super::{connect, ctl, init};

/// Name within a package's directory of pages, and text, of each file.
pub fn all() -> Vec<(&'static str, String)> {
    let config = stock();
    vec![
        ("rill.1", manual()),
        ("rill.toml.5", settings_manual(&config)),
        ("rill.bash", bash(&config)),
        ("_rill", zsh()),
        ("rill.fish", fish()),
        ("rill.toml", init::package_text(&config)),
    ]
}

/// What holds without a file on the board of which nothing is known, whatever machine builds the package.
fn stock() -> Config {
    // It has no file and no --set, in which alone something could be wrong.
    config::load(&board::all()[0], None, &[]).expect("the defaults are valid")
}

/// `rill(1)`.
fn manual() -> String {
    let mut page = Page::new("RILL", 1, "User Commands");
    page.section("NAME").text("rill - live streaming over RTMP for small boards");
    page.section("SYNOPSIS");
    page.raw(".B rill\n[\\fBserve\\fR] [\\fIOPTIONS\\fR]\n.br\n.B rill\n\\fICOMMAND\\fR [\\fIOPTIONS\\fR]\n");
    page.section("DESCRIPTION").text(
        "An encoder publishes to rtmp://HOST/live/NAME, any number of players play the same URL. The server is one thread \
         with memory that is obtained at start and never grows. Each directory in applications/ of its root is an \
         application, from the next connection on.",
    );
    page.section("COMMANDS");
    for (name, help) in COMMANDS {
        page.item(&format!("\\fB{}\\fR", escaped(name)), help);
    }
    page.section("OPTIONS");
    for Opt { short, long, value, help } in OPTIONS {
        let short = short.map_or(String::new(), |letter| format!("\\fB\\-{letter}\\fR, "));
        page.item(&format!("{short}\\fB\\-\\-{}\\fR \\fI{}\\fR", escaped(long), escaped(value)), help);
    }
    for (title, text) in [
        ("RILL CTL", ctl::help()),
        ("RILL CONNECT", connect::HELP.to_owned()),
        ("RILL BENCH", bench::options::HELP.to_owned()),
    ] {
        page.section(title).verbatim(&text);
    }
    page.section("SIGNALS");
    page.item(
        "\\fBSIGTERM\\fR, \\fBSIGINT\\fR",
        "tell every client and end within two seconds; a second one ends at once",
    );
    page.item("\\fBSIGHUP\\fR", "read the configuration again");
    page.item("\\fBSIGUSR1\\fR", "write a report into the log");
    page.section("ENVIRONMENT");
    page.item("\\fBRUST_LOG\\fR", "what is logged, unless --log says so");
    page.item(
        "\\fBNOTIFY_SOCKET\\fR, \\fBWATCHDOG_USEC\\fR",
        "set by the service manager, which is told of start, life, status, reload and end: see sd_notify(3)",
    );
    page.section("FILES");
    page.item("\\fI/etc/rill/rill.toml\\fR", "the configuration: see rill.toml(5)");
    page.item("\\fI/var/lib/rill/applications\\fR", "a directory for each application");
    page.item(
        "\\fI/run/rill/rill.sock\\fR",
        "the control socket of rill ctl; every user with write permission may use all of its commands",
    );
    page.section("EXIT STATUS");
    page.text("0 on success, 2 when the command line is wrong, 1 for everything else; rill connect has more.");
    page.section("SEE ALSO").raw(".BR rill.toml (5)\n");
    page.0
}

/// `rill.toml(5)`.
fn settings_manual(config: &Config) -> String {
    let mut page = Page::new("RILL.TOML", 5, "File Formats");
    page.section("NAME").text("rill.toml - configuration of rill");
    page.section("DESCRIPTION").text(
        "A TOML file. It is read from where --config says, else from rill.toml in the root that --root names, else from \
         /etc/rill/rill.toml. Nothing has to be in it. Every key can also be given on the command line, as --set \
         KEY=VALUE. rill -t says whether the file is right, and rill limits what is in force. SIGHUP makes a server that \
         runs read it again; some keys wait for a restart all the same.",
    );
    let mut table = "";
    for row in config.rows() {
        // Every key has a table.
        let (its_table, _) = row.key.split_once('.').unwrap_or(("", row.key));
        if its_table != table {
            table = its_table;
            page.section(&format!("TABLE [{table}]"));
        }
        let default = match row.origin {
            // It is this board's only because no machine was asked.
            _ if row.key == "server.board" => "Default: detected from the machine's model, else generic.".to_owned(),
            Origin::Board(_) => "Default: as the board and its memory allow; rill limits says what that is.".to_owned(),
            _ if row.value.is_empty() => "No default.".to_owned(),
            _ => format!("Default: {}.", row.value),
        };
        let restart = if row.takes_effect == TakesEffect::AtStart { " Needs a restart." } else { "" };
        page.item(
            &format!("\\fB{}\\fR", escaped(row.key)),
            &format!("{}; {}. {default}{restart}", sentence(row.help), row.allowed),
        );
    }
    page.section("FILES OF APPLICATIONS")
        .text("Settings of one application are in applications/NAME/app.toml. The server sees changes by itself.");
    for (key, help, allowed) in apps::keys() {
        page.item(&format!("\\fB{}\\fR", escaped(key)), &format!("{}; {allowed}.", sentence(help)));
    }
    page.section("SEE ALSO").raw(".BR rill (1)\n");
    page.0
}

/// A manual page in the macros of `man(7)`.
struct Page(String);

impl Page {
    fn new(title: &str, section: u8, manual: &str) -> Page {
        Page(format!(".TH {title} {section} \"\" \"Rill {}\" \"{manual}\"\n", env!("CARGO_PKG_VERSION")))
    }

    fn raw(&mut self, macros: &str) {
        self.0 += macros;
    }

    fn section(&mut self, title: &str) -> &mut Page {
        let _ = writeln!(self.0, ".SH \"{}\"", escaped(title));
        self
    }

    fn text(&mut self, text: &str) {
        let _ = writeln!(self.0, "{}", escaped(text));
    }

    /// `tag` is escaped already.
    fn item(&mut self, tag: &str, text: &str) {
        let _ = writeln!(self.0, ".TP\n{tag}\n{}", escaped(text));
    }

    /// Lines as they are.
    fn verbatim(&mut self, text: &str) {
        self.0 += ".nf\n";
        text.lines().for_each(|line| self.text(line));
        self.0 += ".fi\n";
    }
}

/// Text in which nothing means anything to troff.
fn escaped(text: &str) -> String {
    let escaped = text.replace('\\', "\\e").replace('-', "\\-");
    if escaped.starts_with(['.', '\'']) { format!("\\&{escaped}") } else { escaped }
}

/// With a capital at its beginning.
fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or(String::new(), |first| first.to_uppercase().chain(letters).collect())
}

/// The commands that have options of their own, with those.
fn own_options() -> [(&'static str, Vec<String>); 3] {
    [("ctl", ctl::help()), ("connect", connect::HELP.to_owned()), ("bench", bench::options::HELP.to_owned())]
        .map(|(command, help)| (command, options_in(&help)))
}

/// The long options that a help text lists.
fn options_in(help: &str) -> Vec<String> {
    let begins = |line: &str| line.trim_start().starts_with('-');
    let words = help.lines().filter(|line| begins(line)).flat_map(str::split_whitespace);
    let mut options: Vec<String> = words.filter(|word| word.starts_with("--")).map(str::to_owned).collect();
    options.sort();
    options.dedup();
    options
}

fn commands() -> Vec<&'static str> {
    COMMANDS.iter().map(|(name, _)| *name).collect()
}

fn boards() -> Vec<&'static str> {
    board::all().iter().map(|board| board.name).collect()
}

fn ctl_commands() -> Vec<&'static str> {
    ctl::COMMANDS.iter().map(|(name, ..)| *name).collect()
}

const LOG_LEVELS: &str = "off error warn info debug trace";

fn bash(config: &Config) -> String {
    let own: String = own_options()
        .iter()
        .map(|(command, options)| {
            let words = if *command == "ctl" { ctl_commands().join(" ") + " " } else { String::new() };
            format!("    {command}) words=\"{words}{}\" ;;\n", options.join(" "))
        })
        .collect();
    let options: Vec<String> = OPTIONS.iter().map(|option| format!("--{}", option.long)).collect();
    let keys: Vec<&str> = config.rows().iter().map(|row| row.key).collect();
    format!(
        r#"# Completion of rill for bash.
_rill() {{
    local current=${{COMP_WORDS[COMP_CWORD]}} previous=${{COMP_WORDS[COMP_CWORD-1]}} command= word words
    COMPREPLY=()
    for word in "${{COMP_WORDS[@]:1:COMP_CWORD-1}}"; do
        case $word in {commands}) command=$word; break ;; esac
    done
    case $previous in
    -c | --config | --socket) mapfile -t COMPREPLY < <(compgen -f -- "$current"); return ;;
    --root | init) mapfile -t COMPREPLY < <(compgen -d -- "$current"); return ;;
    --board) words="{boards}" ;;
    --log) words="{LOG_LEVELS}" ;;
    --set)
        mapfile -t COMPREPLY < <(compgen -S = -W "{keys}" -- "$current")
        compopt -o nospace 2>/dev/null
        return
        ;;
    *)
        case $command in
{own}    "") words="{command_words} {options}" ;;
        *) words="{options}" ;;
        esac
        ;;
    esac
    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
}}
complete -F _rill rill
"#,
        commands = commands().join(" | "),
        command_words = commands().join(" "),
        boards = boards().join(" "),
        options = options.join(" "),
        keys = keys.join(" "),
    )
}

fn zsh() -> String {
    let quoted = |text: &str| text.replace('\'', "'\\''");
    let described = |name: &str, help: &str| quoted(&format!("{}:{help}", name.replace(':', "\\:")));
    let mut options = String::new();
    for Opt { short, long, value, help } in OPTIONS {
        let help = quoted(&help.replace('[', "\\[").replace(']', "\\]"));
        let action = match long {
            "config" => "_files",
            "root" => "_files -/",
            "board" => &format!("({})", boards().join(" ")),
            "log" => &format!("({LOG_LEVELS})"),
            _ => " ",
        };
        let argument = if value.is_empty() { String::new() } else { format!(":{value}:{action}") };
        let mut forms = vec![format!("--{long}")];
        forms.extend(short.map(|letter| format!("-{letter}")));
        for form in forms {
            let _ = writeln!(options, "        '*{form}[{help}]{argument}'");
        }
    }
    let list = |items: &mut dyn Iterator<Item = (&str, &str)>| -> String {
        items.map(|(name, help)| format!("        '{}'\n", described(name, help))).collect()
    };
    let own: String = own_options()
        .iter()
        .map(|(command, options)| {
            let with = if *command == "ctl" { "_describe 'command' ctl_commands\n            " } else { "" };
            format!("        {command})\n            {with}compadd -- {}\n            ;;\n", options.join(" "))
        })
        .collect();
    format!(
        r#"#compdef rill
# Completion of rill for zsh.
_rill() {{
    local -a commands ctl_commands options
    local curcontext="$curcontext" state line
    commands=(
{commands}    )
    ctl_commands=(
{ctl}    )
    options=(
{options}    )
    _arguments -C $options '1:command:->command' '*::argument:->argument'
    case $state in
    command) _describe 'command' commands ;;
    argument)
        case $line[1] in
{own}        init) _files -/ ;;
        *) _arguments $options ;;
        esac
        ;;
    esac
}}
if [ "$funcstack[1]" = _rill ]; then _rill "$@"; else compdef _rill rill; fi
"#,
        commands = list(&mut COMMANDS.into_iter()),
        ctl = list(&mut ctl::COMMANDS.into_iter().map(|(name, _, help)| (name, help))),
    )
}

fn fish() -> String {
    let quoted = |text: &str| text.replace('\\', "\\\\").replace('\'', "\\'");
    let mut text = String::from("# Completion of rill for fish.\ncomplete -c rill -f\n");
    for (name, help) in COMMANDS {
        let _ = writeln!(text, "complete -c rill -n __fish_use_subcommand -a {name} -d '{}'", quoted(help));
    }
    let own: Vec<&str> = own_options().iter().map(|(command, _)| *command).collect();
    let general = format!("-n 'not __fish_seen_subcommand_from {}'", own.join(" "));
    for Opt { short, long, value, help } in OPTIONS {
        let short = short.map_or(String::new(), |letter| format!(" -s {letter}"));
        let argument = match (long, value) {
            (_, "") => String::new(),
            ("config", _) => " -r -F".to_owned(),
            ("root", _) => " -x -a '(__fish_complete_directories)'".to_owned(),
            ("board", _) => format!(" -x -a '{}'", boards().join(" ")),
            ("log", _) => format!(" -x -a '{LOG_LEVELS}'"),
            _ => " -x".to_owned(),
        };
        let _ = writeln!(text, "complete -c rill {general}{short} -l {long}{argument} -d '{}'", quoted(help));
    }
    for (name, _, help) in ctl::COMMANDS {
        let here = "'__fish_seen_subcommand_from ctl'";
        let _ = writeln!(text, "complete -c rill -n {here} -a {name} -d '{}'", quoted(help));
    }
    for (command, options) in own_options() {
        for option in options {
            let here = format!("'__fish_seen_subcommand_from {command}'");
            let _ = writeln!(text, "complete -c rill -n {here} -l {}", option.trim_start_matches('-'));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(name: &str) -> String {
        all().into_iter().find(|(known, _)| *known == name).unwrap().1
    }

    #[test]
    fn the_manual_names_every_command_and_option_and_the_other_every_key() {
        let manual = page("rill.1");
        for (name, _) in COMMANDS {
            assert!(manual.contains(&format!("\n\\fB{name}\\fR\n")), "{name}");
        }
        for option in OPTIONS {
            assert!(manual.contains(&format!("\\-\\-{}\\fR", escaped(option.long))), "{}", option.long);
        }
        let settings = page("rill.toml.5");
        for key in stock().rows().iter().map(|row| row.key).chain(apps::keys().map(|(key, ..)| key)) {
            assert!(settings.contains(&format!("\n\\fB{key}\\fR\n")), "{key}");
        }
    }

    #[test]
    fn no_line_of_text_is_taken_for_a_macro() {
        assert_eq!(escaped(".TH a-b \\x"), "\\&.TH a\\-b \\ex");
        let macros = [".TH", ".SH", ".TP", ".nf", ".fi", ".B", ".BR", ".br"];
        for line in page("rill.1").lines().chain(page("rill.toml.5").lines()).filter(|line| line.starts_with('.')) {
            assert!(macros.iter().any(|name| line.split(' ').next() == Some(name)), "{line}");
        }
    }

    #[test]
    fn every_shell_completes_every_command_and_option() {
        for file in ["rill.bash", "_rill", "rill.fish"] {
            let text = page(file);
            let all = commands().into_iter().chain(ctl_commands()).chain(boards());
            for word in all.chain(OPTIONS.iter().map(|option| option.long)).chain(["saturate", "follow", "socket"]) {
                assert!(text.contains(word), "{word} is not in {file}");
            }
        }
    }

    #[test]
    fn the_configuration_of_a_package_names_every_key_and_sets_none() {
        let text = page("rill.toml");
        let loaded = config::load(&board::all()[0], Some(("rill.toml", &text)), &[]).unwrap();
        assert!(loaded.rows().iter().all(|row| !matches!(row.origin, Origin::File { .. })));
        for row in loaded.rows() {
            let (_, name) = row.key.split_once('.').unwrap();
            assert!(text.contains(&format!("\n#{name} = ")), "{}", row.key);
        }
    }
}
