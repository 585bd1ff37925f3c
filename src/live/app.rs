//! An application as its directory describes it: who may do what in it, its limits, its script. Plain data and pure
//! decisions; whatever is asked while the server runs takes nothing from the heap.

use core::fmt::{self, Write};
use core::net::IpAddr;

use crate::limits::{ADDRESS_RULES, APP_NAME_BYTES, STREAM_KEY_BYTES, STREAM_KEYS};
use crate::name::{DEFAULT_INSTANCE, NameError, StreamName, StreamPath};
use crate::text::Quoted;
pub use crate::wire::script_link::Budget;
use crate::wire::script_link::FileRole;

use super::holder::Who;
use super::hook_settings::HookSettings;
use super::links::{Deed, LinkFault, LinkRules};
use super::programme_settings::ProgrammeSettings;
use super::record_settings::RecordSettings;
use super::recorded::RecordedName;
use super::refusal::Refusal;
use super::relay_settings::RelaySettings;
use super::secret::is_same;
use super::users::LogInRules;

/// The folder of an application in which its files lie that can be played, whatever the instance: films.
pub const MEDIA: &str = "media";

/// What an application is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AppKind {
    /// Streams are published and played.
    Live,
    /// Recordings are played; publishing is refused.
    Vod,
}

/// Whether the instances of an application (`rtmp://host/app/INSTANCE`) have streams in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InstanceStreams {
    /// `hall` + `left/cam` and `hall/left` + `cam` are one stream: one URL, cut by different clients.
    Joined,
    /// Each has its own. A client that a script turned away from one instance does not get at its streams by another.
    Apart,
}

impl fmt::Display for InstanceStreams {
    /// As it is written in an application's file.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            InstanceStreams::Joined => "joined",
            InstanceStreams::Apart => "apart",
        })
    }
}

/// An application.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppDefinition {
    /// First part of the path that clients connect to.
    pub name: heapless::String<APP_NAME_BYTES>,
    /// What it is for.
    pub kind: AppKind,
    /// What its file says of that; see [`AppDefinition::instance_streams`].
    pub instances: Option<InstanceStreams>,
    /// Who may connect, publish and play.
    pub rules: Rules,
    /// How much.
    pub limits: AppLimits,
    /// What of it is recorded, and how.
    pub record: RecordSettings,
    /// Which of its streams are made of several inputs.
    pub programmes: Vec<ProgrammeSettings>,
    /// What it sends to other servers and fetches from them.
    pub relays: RelaySettings,
    /// What links are worth in it.
    pub links: LinkRules,
    /// Who has to log in to publish.
    pub log_in: LogInRules,
    /// Who is asked and told of its clients.
    pub hooks: HookSettings,
    /// Its server-side code, if it has any.
    pub script: Option<ScriptDefinition>,
    /// What the script sees as `application.config`: a JSON object.
    pub config_json: String,
    /// Changes when any file changes that it was read from, or a setting of the server that it follows.
    pub stamp: u64,
}

impl AppDefinition {
    /// An application without files: everybody may do everything that its kind allows.
    pub fn stock(name: heapless::String<APP_NAME_BYTES>, kind: AppKind) -> AppDefinition {
        AppDefinition {
            name,
            kind,
            instances: None,
            rules: Rules::default(),
            limits: AppLimits::default(),
            record: RecordSettings::default(),
            programmes: Vec::new(),
            relays: RelaySettings::default(),
            links: LinkRules::default(),
            log_in: LogInRules::default(),
            hooks: HookSettings::default(),
            script: None,
            config_json: "{}".to_owned(),
            stamp: 0,
        }
    }

    /// Whether its instances have streams in common. Unless its file says so, they do when no script decides who may
    /// join which.
    pub fn instance_streams(&self) -> InstanceStreams {
        let usual = if self.script.is_some() { InstanceStreams::Apart } else { InstanceStreams::Joined };
        self.instances.unwrap_or(usual)
    }

    /// Whether a stream of that path is an input of a programme: it is recorded and sent on only where it is named.
    pub fn is_input(&self, path: &str) -> bool {
        self.programmes.iter().any(|programme| programme.has_input(path))
    }

    /// The stream that a client of `instance` means by `name`; both are normalised.
    ///
    /// # Errors
    ///
    /// As [`StreamPath::new`].
    pub fn path(&self, instance: &str, name: &str) -> Result<StreamPath, NameError> {
        StreamPath::new(instance, name, self.instance_streams() == InstanceStreams::Apart)
    }

    /// The recorded stream that a client of `instance` means by `said`, the name argument of `play` with prefix and query.
    ///
    /// # Errors
    ///
    /// As [`RecordedName::new`].
    pub fn recorded_name(&self, instance: &str, said: &[u8]) -> Result<RecordedName, NameError> {
        RecordedName::new(&self.name, instance, self.instance_streams() == InstanceStreams::Apart, said)
    }

    /// All recorded streams that a client of `instance` can play ([`RecordedName::before_all`]).
    ///
    /// # Errors
    ///
    /// As [`RecordedName::new`].
    pub fn all_recorded(&self, instance: &str) -> Result<RecordedName, NameError> {
        RecordedName::before_all(&self.name, instance, self.instance_streams() == InstanceStreams::Apart)
    }

    /// What may be shown of a name by which nothing could be published: it may be a stream key with a mistake in it, unless
    /// it is the name that a key belongs to, or there are no keys.
    pub fn shown<'a>(&self, path: &'a StreamPath) -> &'a str {
        let said = match self.instance_streams() {
            InstanceStreams::Apart => path.name(),
            InstanceStreams::Joined => path.as_str(),
        };
        let is_public = self.rules.keys.is_empty() || self.rules.keys.iter().any(|key| key.name == said);
        if is_public { path.as_str() } else { HIDDEN_NAME }
    }

    /// The stream that a client publishes by `name`, which may be a stream key: by that, or by a link in its place.
    ///
    /// # Errors
    ///
    /// As [`AppDefinition::publish`], and [`Refusal::Link`].
    pub fn may_publish(&self, who: &Who<'_>, name: &str) -> Result<StreamPath, Refusal> {
        let has_keys = !self.rules.keys.is_empty();
        match self.publish(who.peer, who.instance, name, who.query) {
            Ok(path) if has_keys || !self.links.publish => Ok(path),
            Err(refusal) if refusal != Refusal::PublishKey => Err(refusal),
            _ => {
                let path = self.path(who.instance, name).map_err(|_| Refusal::Path)?;
                self.by_link(Deed::Publish, who, path.as_str(), has_keys.then_some(Refusal::PublishKey))?;
                Ok(path)
            }
        }
    }

    /// Whether a client may play the stream of that path: by a key, or by a link in its place, where one is needed.
    ///
    /// # Errors
    ///
    /// As [`Rules::play`], and [`Refusal::Link`].
    pub fn may_play(&self, who: &Who<'_>, path: &str) -> Result<(), Refusal> {
        let has_key = self.rules.play_key.is_some();
        match self.rules.play(who.peer, path, who.query) {
            Ok(()) if has_key || !self.links.play => Ok(()),
            Err(refusal) if refusal != Refusal::PlayKey => Err(refusal),
            _ => self.by_link(Deed::Play, who, path, has_key.then_some(Refusal::PlayKey)),
        }
    }

    /// Whether a link lets somebody in; `no_key` is said to who has none, where a key would do.
    fn by_link(&self, deed: Deed, who: &Who<'_>, path: &str, no_key: Option<Refusal>) -> Result<(), Refusal> {
        match self.links.check(deed, [&self.name, path], who.query, who.clock) {
            Err(LinkFault::Missing) => Err(no_key.unwrap_or(Refusal::Link(LinkFault::Missing))),
            result => result.map_err(Refusal::Link),
        }
    }

    /// The stream that a client at `peer`, of `instance`, publishes by `name`, which may be a stream key, with what stood
    /// behind its `?`. Stream keys belong to names within an instance where those are apart, else to whole paths.
    ///
    /// # Errors
    ///
    /// As [`Rules::publish`], and [`Refusal::Path`].
    pub fn publish(&self, peer: IpAddr, instance: &str, name: &str, query: &str) -> Result<StreamPath, Refusal> {
        let too_long = |_: NameError| Refusal::Path;
        let said = self.path(instance, name).map_err(too_long)?;
        match self.instance_streams() {
            InstanceStreams::Apart => {
                let public = self.rules.publish(peer, name, query)?;
                self.path(instance, public).map_err(too_long)
            }
            InstanceStreams::Joined => {
                let public = self.rules.publish(peer, said.as_str(), query)?;
                self.path(DEFAULT_INSTANCE, public).map_err(too_long)
            }
        }
    }
}

/// A file of an application, already read.
#[derive(Clone, Debug, Hash, PartialEq, Eq)]
pub struct SourceFile {
    /// Relative to the application's directory (`main.asc`, `scripts/x.asc`); of a library a bare name.
    pub name: String,
    /// What is in it.
    pub text: String,
}

/// The text of a script with everything it may `load()`.
#[derive(Clone, Debug, Hash, PartialEq, Eq)]
pub struct Source {
    /// `secure.asc` beside the main script; runs first.
    pub secure: Option<SourceFile>,
    /// The main script.
    pub main: SourceFile,
    /// What `load()` may find: files of the application, then files of the library path under their bare names.
    pub others: Vec<SourceFile>,
}

impl Source {
    /// Its files, in the order in which a script process is told them, and what each is for.
    pub fn files(&self) -> impl Iterator<Item = (FileRole, &SourceFile)> {
        let secure = self.secure.iter().map(|file| (FileRole::Secure, file));
        let others = self.others.iter().map(|file| (FileRole::Library, file));
        core::iter::once((FileRole::Main, &self.main)).chain(secure).chain(others)
    }
}

/// An application's script. Its text is read when it is wanted ([`script_text`](super::script_text)).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScriptDefinition {
    /// The file that runs, relative to the application's directory.
    pub main: String,
    /// Changes when any of its files does.
    pub stamp: u64,
    /// What it may use.
    pub limits: ScriptLimits,
}

/// What an application's script may use, and how long others wait for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScriptLimits {
    /// Memory, stack and time.
    pub budget: Budget,
    /// How long `onConnect` may leave a client undecided, in milliseconds: 100 to 120 000. Then it is refused.
    pub pending_ms: u64,
    /// How long an instance stays loaded without clients, in milliseconds: 0 (for ever) to 86 400 000. Adobe's
    /// `MaxAppIdleTime`.
    pub idle_unload_ms: u64,
    /// How long the clients of a script that had to be stopped are refused before it is loaded again, in milliseconds:
    /// 0 to 3 600 000.
    pub retry_ms: u64,
}

impl Default for ScriptLimits {
    fn default() -> ScriptLimits {
        ScriptLimits { budget: Budget::default(), pending_ms: 10_000, idle_unload_ms: 1_200_000, retry_ms: 10_000 }
    }
}

/// An application's own limits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AppLimits {
    /// Connections at once; 0 is no limit but the server's.
    pub connections: u32,
    /// Publishers at once; 0 is no limit but the server's.
    pub publishers: u32,
    /// Players at once; 0 is no limit but the server's.
    pub players: u32,
    /// How long a connection may neither publish nor play, in milliseconds; 0 is for ever, `None` is what the server's
    /// `timeouts.idle_ms` says.
    pub idle_ms: Option<u64>,
    /// How long players are not told that a publisher left, in milliseconds; `None` is what the server's
    /// `live.unpublish_grace_ms` says.
    pub unpublish_grace_ms: Option<u64>,
    /// The most that a recorded stream is sent ahead of its time, in milliseconds; `None` is what the server's `vod.lead_ms`
    /// says.
    pub recorded_lead_ms: Option<u64>,
    /// Bandwidth: how it is measured, and limits.
    pub bandwidth: Bandwidth,
}

impl AppLimits {
    /// Whether one more may connect, where `present` are connected.
    ///
    /// # Errors
    ///
    /// [`Refusal::Connections`].
    pub fn connect(&self, present: u32) -> Result<(), Refusal> {
        below(self.connections, present, Refusal::Connections)
    }

    /// Whether one more may publish, where `present` do.
    ///
    /// # Errors
    ///
    /// [`Refusal::Publishers`].
    pub fn publish(&self, present: u32) -> Result<(), Refusal> {
        below(self.publishers, present, Refusal::Publishers)
    }

    /// Whether one more may play, where `present` do.
    ///
    /// # Errors
    ///
    /// [`Refusal::Players`].
    pub fn play(&self, present: u32) -> Result<(), Refusal> {
        below(self.players, present, Refusal::Players)
    }
}

fn below(limit: u32, present: u32, refusal: Refusal) -> Result<(), Refusal> {
    if limit > 0 && present >= limit { Err(refusal) } else { Ok(()) }
}

/// Bandwidth detection (Adobe's `BandwidthDetection` element) and the limits of a new connection (`Bandwidth`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bandwidth {
    /// Clients and scripts may have it measured.
    pub detection: bool,
    /// The fastest that is measured, in kilobits a second: 0 (no limit) to 10 000 000. Adobe's `MaxRate`, whose -1 is 0
    /// here.
    pub max_kbit: u32,
    /// Bytes that are sent first, to be measured: 1 KiB to 1 MiB. Adobe's `DataSize`.
    pub data_bytes: u32,
    /// How long a measurement takes at most, in milliseconds: 100 to 60 000. Adobe's `MaxWait`, in seconds there.
    pub max_wait_ms: u32,
    /// The most that is sent to a client, in bytes a second; 0 is no limit.
    pub to_client_bytes_s: u32,
    /// The most that a client may send, in bytes a second; 0 is no limit.
    pub to_server_bytes_s: u32,
}

impl Default for Bandwidth {
    fn default() -> Bandwidth {
        Bandwidth {
            detection: true,
            max_kbit: 0,
            data_bytes: 16 << 10,
            max_wait_ms: 2000,
            to_client_bytes_s: 0,
            to_server_bytes_s: 0,
        }
    }
}

/// Who may connect, publish and play. Empty, it lets everybody do everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    connect: AddressList,
    publish: AddressList,
    play: AddressList,
    keys: Vec<StreamKey>,
    play_key: Option<Secret>,
}

impl Rules {
    /// Whether a client at `peer` may connect.
    ///
    /// # Errors
    ///
    /// [`Refusal::ConnectAddress`].
    pub fn connect(&self, peer: IpAddr) -> Result<(), Refusal> {
        if self.connect.allows(peer) { Ok(()) } else { Err(Refusal::ConnectAddress) }
    }

    /// Whether a client at `peer` may publish, as far as its address says.
    ///
    /// # Errors
    ///
    /// [`Refusal::PublishAddress`].
    pub fn publish_from(&self, peer: IpAddr) -> Result<(), Refusal> {
        if self.publish.allows(peer) { Ok(()) } else { Err(Refusal::PublishAddress) }
    }

    /// Whether a client at `peer` may publish `name`, and what the stream is called for everybody else. `name` is
    /// normalised ([`StreamName`]); `query` is what stood behind its `?`. Where there are stream keys, either the name is
    /// the key itself, or ends with it behind a slash (which is where an encoder writes the key into the URL), or a `key`,
    /// `token` or `secret` in the query is the key of that name.
    ///
    /// # Errors
    ///
    /// [`Refusal::PublishAddress`] and [`Refusal::PublishKey`]. The latter does not tell a wrong key from a name that has
    /// none.
    pub fn publish<'a>(&'a self, peer: IpAddr, name: &'a str, query: &str) -> Result<&'a str, Refusal> {
        self.publish_from(peer)?;
        if self.keys.is_empty() {
            return Ok(name);
        }
        // Every key is compared, so that the time says nothing of which one was near.
        let mut public = None;
        for key in &self.keys {
            let typed = key.secret.is_last_of(name);
            let queried = key.secret.is_in(query) & (key.name == name);
            if typed | queried {
                public = Some(key.name.as_str());
            }
        }
        public.ok_or(Refusal::PublishKey)
    }

    /// Whether a client at `peer` may play, with what stood behind the `?` of the name.
    ///
    /// # Errors
    ///
    /// [`Refusal::PlayAddress`] and [`Refusal::PlayKey`].
    pub fn play(&self, peer: IpAddr, _name: &str, query: &str) -> Result<(), Refusal> {
        if !self.play.allows(peer) {
            return Err(Refusal::PlayAddress);
        }
        match &self.play_key {
            Some(key) if !key.is_in(query) => Err(Refusal::PlayKey),
            _ => Ok(()),
        }
    }

    /// Sets who may connect, by address.
    pub fn set_connect(&mut self, list: AddressList) {
        self.connect = list;
    }

    /// Sets who may publish, by address.
    pub fn set_publish(&mut self, list: AddressList) {
        self.publish = list;
    }

    /// Sets who may play, by address.
    pub fn set_play(&mut self, list: AddressList) {
        self.play = list;
    }

    /// Sets the key that players need.
    ///
    /// # Errors
    ///
    /// [`KeyError::Illegal`].
    pub fn set_play_key(&mut self, key: &str) -> Result<(), KeyError> {
        self.play_key = Some(Secret::new(key)?);
        Ok(())
    }

    /// Adds the key with which the stream `name` is published. From the first one on nothing is published without.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    pub fn add_key(&mut self, name: &str, key: &str) -> Result<(), KeyError> {
        if self.keys.len() == STREAM_KEYS {
            return Err(KeyError::TooMany);
        }
        if !StreamName::parse(name.as_bytes()).is_ok_and(|parsed| parsed.name == name) {
            return Err(KeyError::Name);
        }
        let secret = Secret::new(key)?;
        if self.keys.iter().any(|other| other.secret == secret) {
            return Err(KeyError::Twice);
        }
        // A key that is also a name would be shown to players.
        if name == key || self.keys.iter().any(|other| other.name == key || other.secret.is(name)) {
            return Err(KeyError::Public);
        }
        self.keys.push(StreamKey { name: name.to_owned(), secret });
        Ok(())
    }
}

/// A key and the stream that is published with it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct StreamKey {
    name: String,
    secret: Secret,
}

/// Why a key cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyError {
    /// There are [`STREAM_KEYS`] already.
    TooMany,
    /// No stream can have the name that it is for.
    Name,
    /// No encoder could send it as it is.
    Illegal,
    /// Another stream has the same.
    Twice,
    /// It is the name of a stream, which is public.
    Public,
}

impl fmt::Display for KeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            KeyError::TooMany => write!(f, "there are more than {STREAM_KEYS} keys (STREAM_KEYS)"),
            KeyError::Name => f.write_str("no stream can have that name"),
            KeyError::Illegal => write!(
                f,
                "a key must be 1 to {STREAM_KEY_BYTES} bytes (STREAM_KEY_BYTES) without blanks, \
                 control characters and any of \\ : * ? \" < > | & % #"
            ),
            KeyError::Twice => f.write_str("another stream has the same key"),
            KeyError::Public => f.write_str("a key must not be the name of a stream"),
        }
    }
}

/// Words that only those know who may do something. It is never shown, and comparing takes the same time whatever is
/// compared with it.
#[derive(Clone, PartialEq, Eq)]
struct Secret(String);

impl Secret {
    fn new(key: &str) -> Result<Secret, KeyError> {
        // It may come as a stream name and as a part of a query, and must come through both unchanged.
        let as_name = StreamName::parse(key.as_bytes()).is_ok_and(|parsed| parsed.name == key);
        let in_query = !key.contains(|c: char| c.is_whitespace() || matches!(c, '&' | '%' | '#'));
        if as_name && in_query && key.len() <= STREAM_KEY_BYTES {
            Ok(Secret(key.to_owned()))
        } else {
            Err(KeyError::Illegal)
        }
    }

    fn is(&self, other: &str) -> bool {
        is_same(&self.0, other, STREAM_KEY_BYTES)
    }

    /// Whether it is what a path ends with, behind a slash or as the whole of it.
    fn is_last_of(&self, path: &str) -> bool {
        let before = path.len().checked_sub(self.0.len());
        let last = before.filter(|&at| at == 0 || path.as_bytes()[at - 1] == b'/').and_then(|at| path.get(at..));
        // What cannot be it is compared as well, for as long.
        self.is(last.unwrap_or_default())
    }

    /// Whether it is the value of one of the names under which encoders and players send keys. Clients do not escape
    /// it, so it is compared as it is.
    fn is_in(&self, query: &str) -> bool {
        let mut found = false;
        for (name, value) in query.split('&').filter_map(|part| part.split_once('=')) {
            found |= KEY_NAMES.contains(&name) && self.is(value);
        }
        found
    }
}

/// What keys are called in a query.
pub const KEY_NAMES: [&str; 3] = ["key", "token", "secret"];

/// What a log line shows where something that was typed may be a key with a mistake in it.
const HIDDEN_NAME: &str = "…";

/// `text` as a value of a log line, without the keys of the application: people type them where a name belongs, and where
/// more of the path follows.
pub fn without_keys<'a>(definition: Option<&'a AppDefinition>, text: &'a str) -> impl fmt::Display {
    Quoted(WithoutKeys { rules: definition.map(|definition| &definition.rules), text })
}

struct WithoutKeys<'a> {
    rules: Option<&'a Rules>,
    text: &'a str,
}

impl fmt::Display for WithoutKeys<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let keys = || {
            let stream_keys = self.rules.iter().flat_map(|rules| &rules.keys).map(|key| &key.secret);
            stream_keys.chain(self.rules.iter().filter_map(|rules| rules.play_key.as_ref()))
        };
        let is_end = |c: Option<char>| c.is_none_or(|c| matches!(c, '/' | '?' | '=' | '&'));
        let mut from = 0;
        for (at, c) in self.text.char_indices() {
            let (before, rest) = self.text.split_at(at);
            let is_whole = |key: &&Secret| {
                let behind = rest.strip_prefix(key.0.as_str());
                is_end(before.chars().next_back()) && behind.is_some_and(|behind| is_end(behind.chars().next()))
            };
            if at < from {
                continue;
            }
            match keys().find(is_whole) {
                Some(key) => {
                    from = at + key.0.len();
                    f.write_str("…")?;
                }
                None => f.write_char(c)?,
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// Whom a list of addresses lets through: the first rule that an address matches decides, and one that matches none is
/// let through, as with nginx's `allow` and `deny`. So a list of allowed addresses ends with `deny all`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AddressList(Vec<AddressRule>);

/// One rule of an [`AddressList`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct AddressRule {
    allow: bool,
    /// The network's address and how many of its leading bits count. `None` matches every address.
    network: Option<(IpAddr, u8)>,
}

/// Why a list of addresses cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AddressListError {
    /// It has more than [`ADDRESS_RULES`] rules.
    TooMany,
    /// The rule of this index makes no sense.
    Rule(usize),
}

impl AddressList {
    /// From rules like `allow 192.168.1.0/24`, `allow fd00::/8`, `deny 10.0.0.7` and `deny all`.
    ///
    /// # Errors
    ///
    /// The first rule that makes no sense, or too many rules.
    pub fn parse<'a>(rules: impl IntoIterator<Item = &'a str>) -> Result<AddressList, AddressListError> {
        let mut list = Vec::new();
        for (index, rule) in rules.into_iter().enumerate() {
            if list.len() == ADDRESS_RULES {
                return Err(AddressListError::TooMany);
            }
            list.push(AddressRule::parse(rule).ok_or(AddressListError::Rule(index))?);
        }
        Ok(AddressList(list))
    }

    /// Whether it lets `peer` through.
    pub fn allows(&self, peer: IpAddr) -> bool {
        // A socket for both families shows IPv4 addresses within IPv6 ones.
        let peer = peer.to_canonical();
        self.0.iter().find(|rule| rule.matches(peer)).is_none_or(|rule| rule.allow)
    }
}

/// Addresses and networks, as they were said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Networks {
    said: Vec<String>,
    rules: AddressList,
}

impl Networks {
    /// More are refused.
    pub const MOST: usize = ADDRESS_RULES;

    /// From texts like `10.0.0.7` and `fd00::/8`; `None` when one is neither, or there are more than [`ADDRESS_RULES`].
    pub fn parse(said: &[&str]) -> Option<Networks> {
        let rules: Vec<String> = said.iter().map(|network| format!("allow {network}")).collect();
        let rules = AddressList::parse(rules.iter().map(String::as_str)).ok()?;
        rules.0.iter().all(|rule| rule.network.is_some()).then_some(())?;
        Some(Networks { said: said.iter().map(|&network| network.to_owned()).collect(), rules })
    }

    /// Whether an address is one of them.
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.rules.0.iter().any(|rule| rule.matches(address))
    }

    /// As they were said.
    pub fn said(&self) -> &[String] {
        &self.said
    }
}

impl AddressRule {
    fn parse(text: &str) -> Option<AddressRule> {
        let (verb, whom) = text.trim().split_once(char::is_whitespace)?;
        let allow = match verb {
            "allow" => true,
            "deny" => false,
            _ => return None,
        };
        let whom = whom.trim();
        if whom == "all" {
            return Some(AddressRule { allow, network: None });
        }
        let (address, bits) = match whom.split_once('/') {
            Some((address, bits)) => (address, Some(bits.parse::<u8>().ok()?)),
            None => (whom, None),
        };
        let address: IpAddr = address.parse().ok()?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let bits = bits.unwrap_or(most);
        (bits <= most).then_some(AddressRule { allow, network: Some((address, bits)) })
    }

    fn matches(&self, peer: IpAddr) -> bool {
        match (self.network, peer) {
            (None, _) => true,
            (Some((IpAddr::V4(network), bits)), IpAddr::V4(peer)) => {
                let differ = u32::from(network) ^ u32::from(peer);
                differ.checked_shr(32 - u32::from(bits)).unwrap_or(0) == 0
            }
            (Some((IpAddr::V6(network), bits)), IpAddr::V6(peer)) => {
                let differ = u128::from(network) ^ u128::from(peer);
                differ.checked_shr(128 - u32::from(bits)).unwrap_or(0) == 0
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    const ANYBODY: IpAddr = IpAddr::V4(core::net::Ipv4Addr::LOCALHOST);

    fn with_keys() -> Rules {
        let mut rules = Rules::default();
        rules.add_key("cam1", "s3cret").unwrap();
        rules.add_key("hall/left", "0p3n").unwrap();
        rules
    }

    #[test]
    fn a_key_is_in_no_log_line_wherever_in_the_path_it_was_typed() {
        let mut definition = AppDefinition::stock(heapless::String::try_from("live").unwrap(), AppKind::Live);
        definition.rules.add_key("cam1", "s3cret").unwrap();
        definition.rules.add_key("cam2", "a/b").unwrap();
        definition.rules.set_play_key("v1ew").unwrap();
        for (text, shown) in [
            ("s3cret", "\"…\""),
            ("hall/s3cret/cam1", "\"hall/…/cam1\""),
            ("cam2/a/b", "\"cam2/…\""),
            ("cam1?key=s3cret&x", "\"cam1?key=…&x\""),
            ("v1ew/s3cret", "\"…/…\""),
            ("s3cret1/cam1\n", "\"s3cret1/cam1\\n\""),
            ("", "\"\""),
        ] {
            assert_eq!(without_keys(Some(&definition), text).to_string(), shown);
        }
        assert_eq!(without_keys(None, "s3cret").to_string(), "\"s3cret\"");
    }

    #[test]
    fn the_first_rule_that_an_address_matches_decides_and_none_lets_through() {
        let list = AddressList::parse([
            "deny 192.168.1.66",
            "allow 192.168.1.0/24",
            "allow  10.9.8.7/8",
            "allow fd00::/8",
            "deny ::/0",
            "deny 0.0.0.0/1",
        ])
        .unwrap();
        for (peer, allowed) in [
            ("192.168.1.66", false),
            ("192.168.1.67", true),
            ("::ffff:192.168.1.66", false),
            ("::ffff:192.168.1.67", true),
            ("10.255.255.255", true),
            ("11.0.0.0", false),
            ("127.255.255.255", false),
            ("128.0.0.0", true),
            ("fdff::1", true),
            ("fc00::1", false),
            ("::1", false),
        ] {
            assert_eq!(list.allows(ip(peer)), allowed, "{peer}");
        }
        assert!(AddressList::default().allows(ip("::1")));
        let closed = AddressList::parse(["allow 127.0.0.1", "deny all"]).unwrap();
        assert!(closed.allows(ANYBODY) && !closed.allows(ip("127.0.0.2")) && !closed.allows(ip("fd00::1")));
    }

    #[test]
    fn a_rule_that_makes_no_sense_is_named_and_so_are_too_many() {
        for wrong in
            ["", "allow", "allow ", "10.0.0.1", "permit all", "allow 10.0.0/8", "deny 10.0.0.0/33", "deny ::/129"]
        {
            let list = AddressList::parse(["deny all", wrong]);
            assert_eq!(list, Err(AddressListError::Rule(1)), "{wrong}");
        }
        let many = |count| AddressList::parse(core::iter::repeat_n("deny 10.0.0.1", count));
        assert!(many(ADDRESS_RULES).is_ok());
        assert_eq!(many(ADDRESS_RULES + 1), Err(AddressListError::TooMany));
    }

    #[test]
    fn a_key_publishes_its_own_stream_however_the_encoder_sends_it() {
        let rules = with_keys();
        for (name, query) in [
            ("s3cret", ""),
            ("s3cret", "bandwidth=1"),
            ("cam1", "key=s3cret"),
            ("cam1", "a=b&token=s3cret&c"),
            ("cam1", "secret=s3cret"),
            ("cam1", "key=old&key=s3cret"),
        ] {
            assert_eq!(rules.publish(ANYBODY, name, query), Ok("cam1"), "{name} {query}");
        }
        assert_eq!(rules.publish(ANYBODY, "hall/left", "key=0p3n"), Ok("hall/left"));
        assert_eq!(rules.publish(ANYBODY, "0p3n", ""), Ok("hall/left"));
    }

    #[test]
    fn without_its_key_nothing_is_published() {
        let rules = with_keys();
        for (name, query) in [
            ("cam1", ""),
            ("cam1", "key="),
            ("cam1", "key=s3cre"),
            ("cam1", "key=s3crets"),
            ("cam1", "key=0p3n"),
            ("cam1", "KEY=s3cret"),
            ("cam1", "s3cret"),
            ("s3cre", ""),
            ("other", "key=s3cret"),
            ("", ""),
        ] {
            assert_eq!(rules.publish(ANYBODY, name, query), Err(Refusal::PublishKey), "{name} {query}");
        }
        // Without keys every name is free.
        assert_eq!(Rules::default().publish(ANYBODY, "cam1", "key=x"), Ok("cam1"));
    }

    #[test]
    fn a_key_is_shown_to_nobody_and_helps_no_player() {
        let mut rules = with_keys();
        rules.set_play_key("v1ew").unwrap();
        let shown = format!("{rules:?}");
        assert!(!shown.contains("s3cret") && !shown.contains("0p3n") && !shown.contains("v1ew"), "{shown}");
        assert_eq!(rules.play(ANYBODY, "cam1", "key=v1ew"), Ok(()));
        for query in ["", "key=s3cret", "key=", "v1ew"] {
            assert_eq!(rules.play(ANYBODY, "cam1", query), Err(Refusal::PlayKey), "{query}");
        }
        assert_eq!(with_keys().play(ANYBODY, "s3cret", ""), Ok(()), "a key is a name like any other for players");
    }

    #[test]
    fn a_key_that_would_not_come_through_or_give_itself_away_is_refused() {
        let mut rules = with_keys();
        for (name, key, expected) in [
            ("cam2", "", KeyError::Illegal),
            ("cam2", "a b", KeyError::Illegal),
            ("cam2", "a&b", KeyError::Illegal),
            ("cam2", "mp4:a", KeyError::Illegal),
            ("cam2", "a//b", KeyError::Illegal),
            ("cam2", "a?b", KeyError::Illegal),
            ("a?b", "k3y", KeyError::Name),
            ("", "k3y", KeyError::Name),
            ("cam2", "s3cret", KeyError::Twice),
            ("cam2", "cam1", KeyError::Public),
            ("cam2", "cam2", KeyError::Public),
            ("s3cret", "k3y", KeyError::Public),
        ] {
            assert_eq!(rules.add_key(name, key), Err(expected), "{name} {key}");
        }
        assert_eq!(rules.add_key("cam2", &"x".repeat(STREAM_KEY_BYTES + 1)), Err(KeyError::Illegal));
        let longest = "x".repeat(STREAM_KEY_BYTES);
        rules.add_key("cam2", &longest).unwrap();
        assert_eq!(rules.publish(ANYBODY, &longest, ""), Ok("cam2"));
        assert_eq!(rules.publish(ANYBODY, "cam2", &format!("key={longest}x")), Err(Refusal::PublishKey));
        let mut full = Rules::default();
        (0..STREAM_KEYS).for_each(|n| full.add_key(&format!("n{n}"), &format!("k{n}")).unwrap());
        assert_eq!(full.add_key("one", "more"), Err(KeyError::TooMany));
    }

    #[test]
    fn a_key_belongs_to_a_whole_path_and_is_typed_at_any_cut_of_the_url() {
        let name = heapless::String::try_from("live").unwrap();
        let app = AppDefinition { rules: with_keys(), ..AppDefinition::stock(name, AppKind::Live) };
        let published = |app: &AppDefinition, instance: &str, name: &str, query: &str| {
            let path = app.publish(ANYBODY, instance, name, query);
            path.map(|path| (path.instance().to_owned(), path.name().to_owned()))
        };
        let hall_left = Ok(("_definst_".to_owned(), "hall/left".to_owned()));
        for (instance, name, query) in [
            ("_definst_", "0p3n", ""),
            ("hall", "0p3n", ""),
            ("_definst_", "hall/0p3n", ""),
            ("_definst_", "hall/left", "key=0p3n"),
            ("hall", "left", "key=0p3n"),
        ] {
            assert_eq!(published(&app, instance, name, query), hall_left, "{instance} {name} {query}");
        }
        for (instance, name, query) in
            [("hall", "left", ""), ("_definst_", "x0p3n", ""), ("hall0p3n", "cam", ""), ("0p3n", "cam", "")]
        {
            assert_eq!(published(&app, instance, name, query), Err(Refusal::PublishKey), "{instance} {name}");
        }
        assert_eq!(published(&app, &"x".repeat(100), &"y".repeat(92), ""), Err(Refusal::Path));
        // Where instances are apart it belongs to a name in each.
        let app = AppDefinition { instances: Some(InstanceStreams::Apart), ..app };
        let own = Ok(("room".to_owned(), "hall/left".to_owned()));
        assert_eq!(published(&app, "room", "0p3n", ""), own);
        assert_eq!(published(&app, "hall", "left", "key=0p3n"), Err(Refusal::PublishKey));
    }

    #[test]
    fn instances_have_streams_in_common_unless_a_script_or_the_file_keeps_them_apart() {
        let stock = AppDefinition::stock(heapless::String::try_from("live").unwrap(), AppKind::Live);
        let script = ScriptDefinition { main: "main.asc".to_owned(), stamp: 0, limits: ScriptLimits::default() };
        let script = Some(script);
        let scripted = AppDefinition { script, ..stock.clone() };
        assert_eq!(stock.instance_streams(), InstanceStreams::Joined);
        assert_eq!(scripted.instance_streams(), InstanceStreams::Apart);
        let joined = AppDefinition { instances: Some(InstanceStreams::Joined), ..scripted };
        assert_eq!(joined.instance_streams(), InstanceStreams::Joined);
    }

    #[test]
    fn addresses_are_looked_at_before_keys() {
        let mut rules = with_keys();
        let nobody = || AddressList::parse(["deny all"]).unwrap();
        rules.set_connect(nobody());
        rules.set_publish(nobody());
        rules.set_play(nobody());
        assert_eq!(rules.connect(ANYBODY), Err(Refusal::ConnectAddress));
        assert_eq!(rules.publish(ANYBODY, "s3cret", ""), Err(Refusal::PublishAddress));
        assert_eq!(rules.play(ANYBODY, "cam1", ""), Err(Refusal::PlayAddress));
    }

    #[test]
    fn limits_of_an_application_are_reached_at_their_number_and_0_is_none() {
        let limits = AppLimits { connections: 2, publishers: 1, ..AppLimits::default() };
        assert_eq!((limits.connect(1), limits.connect(2)), (Ok(()), Err(Refusal::Connections)));
        assert_eq!((limits.publish(0), limits.publish(1)), (Ok(()), Err(Refusal::Publishers)));
        assert_eq!(limits.play(u32::MAX), Ok(()));
    }
}
