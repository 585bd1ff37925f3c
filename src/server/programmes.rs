//! Programmes at work: what is to be on air goes there. Which they are, and what that is, is known to
//! [`crate::features::programmes`].
//!
//! A programme is published by the server as long as one of its inputs has something, or its slate is shown: by copies of their tags, with one
//! time. To who watches it is one stream; another input is to it what another publish is to a stream whose encoder came back.

use core::fmt;

use log::{info, warn};

use crate::features::Features;
use crate::features::contract::Happened;
use crate::features::programmes::switch::{Input, OnAir};
use crate::features::programmes::{Programme, Programmes, holder};
use crate::features::recorded::{PlayedLength, PlaylistItem, RecordedClient, RecordedDue};
use crate::handles::{AppId, FeatureId, StreamId};
use crate::limits::PATH_BYTES;
use crate::live::feed::FeedSource;
use crate::live::holder::{Holder, Publisher};
use crate::live::programme_settings::MAIN_INPUT;
use crate::live::publish::Published;
use crate::live::reader::{Reader, StreamView};
use crate::live::recorded::{NotPlayed, RecordedFacts, RecordedId};
use crate::media::{Framing, TagKind};
use crate::name::{DEFAULT_INSTANCE, StreamPath};
use crate::text::Word;
use crate::time::Millis;
use crate::wire::chunk::MessageHeader;
use crate::wire::codec::{AudioInfo, VideoInfo};
use crate::wire::flv::{self, Codec, MediaType};

use super::Server;
use super::describe::TrackInfo;
use super::feed::payload;
use super::inspect::ProgrammeRow;
use super::recorded::refusal;
use super::refusals;

/// One after the other, so many inputs may be found unfit at once: more than there are.
const LOOKS: usize = 4;
/// What is to be done about a slate that viewers could not go on with.
const UNFIT: &str = "make one that is like the stream, as docs/backup.md says";
/// The limit that it comes under.
const PLAYERS: &str = "limits.recorded_players";

/// The codecs of a slate or of a stream, for people.
struct Codecs(Option<Codec>, Option<Codec>);

impl fmt::Display for Codecs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Codecs(Some(video), Some(audio)) => write!(f, "{video} with {audio}"),
            Codecs(Some(one), None) | Codecs(None, Some(one)) => write!(f, "{one} alone"),
            Codecs(None, None) => f.write_str("of no codec that is known"),
        }
    }
}

/// The stream of a programme, while it is published.
fn one_stream(programmes: &Programmes, n: u16) -> Option<StreamId> {
    programmes.get(n)?.feed.stream
}

impl Server {
    /// Looks at what is to be on air, if something has happened to an input, or has not for too long.
    pub(super) fn tend_programmes(&mut self, now: Millis) {
        if self.features.programmes.tending || !self.features.programmes.take_due(now) {
            return;
        }
        self.features.programmes.tending = true;
        self.features.programmes.compare(&self.live, now);
        let mut from = 0;
        while let Some(n) = self.features.programmes.next_that(from, |_| true) {
            from = n + 1;
            self.look_at_programme(n, now);
            if self.features.programmes.take_probe(n, now) {
                self.open_slate(n, now);
            }
            if let Some(app) = self.features.programmes.take_over(n, &self.live) {
                self.forget_if_left(app);
            }
        }
        self.features.programmes.tending = false;
        self.features.programmes.set_wake(&self.live, now);
    }

    /// A stream has one more tag: programmes of which it is an input may go on with it, and those that are on air do.
    pub(super) fn feed_programmes(&mut self, stream: StreamId, kind: TagKind, now: Millis) {
        let mut from = 0;
        let is_input = |one: &Programme| Input::ALL.into_iter().any(|input| one.input(input) == Some(stream));
        while let Some(n) = self.features.programmes.next_that(from, is_input) {
            from = n + 1;
            if kind != TagKind::Data {
                self.features.programmes.media(n, stream, &self.live, now);
                if !core::mem::replace(&mut self.features.programmes.tending, true) {
                    self.look_at_programme(n, now);
                    self.features.programmes.tending = false;
                }
            }
            if self.features.programmes.get(n).is_some_and(|one| one.feed.reads(stream)) {
                self.feed_live(holder(n), now);
            }
        }
    }

    fn look_at_programme(&mut self, n: u16, now: Millis) {
        let Some(one) = self.features.programmes.get(n) else { return };
        if self.life.stopping {
            // Its inputs leave one after the other: in between none goes on air for the other.
            return self.end_programme(n, now);
        }
        let on_air = one.switch.on_air().input();
        if let FeedSource::Live { reader, .. } = one.feed.source
            && on_air.and_then(|input| one.input(input)) != Some(reader.stream())
        {
            // It has left. Its name is not kept for what it has not.
            self.drop_source(holder(n), now);
        }
        for _ in 0..LOOKS {
            let Some((to, reason)) = self.features.programmes.decide(n, &self.live, now) else { break };
            self.put_on_air(n, to, reason, now);
        }
        let Some(one) = self.features.programmes.get(n) else { return };
        let is_over = one.switch.on_air() == OnAir::Nothing && !one.switch.has_input();
        if one.feed.stream.is_some() && is_over {
            self.end_programme(n, now);
        }
    }

    /// Another input goes on air, or the slate, or nothing.
    fn put_on_air(&mut self, n: u16, to: OnAir, reason: &'static str, now: Millis) {
        let by = holder(n);
        let Some(one) = self.features.programmes.get(n) else { return };
        let from = one.switch.on_air();
        let input = to.input().and_then(|input| one.input(input));
        if to.input().is_some() && !self.is_programme_up(n, now) {
            return self.features.programmes.lost(n, now);
        }
        self.drop_source(by, now);
        if to == OnAir::Slate {
            let media =
                one_stream(&self.features.programmes, n).and_then(|id| StreamView::of(&self.live.names, id).media);
            let TrackInfo { video, audio, .. } = media.map_or_else(TrackInfo::default, TrackInfo::of);
            if let Some(one) = self.features.programmes.get_mut(n) {
                one.seen = (video, audio);
            }
        }
        let source = match (to, input) {
            (OnAir::Main | OnAir::Backup, Some(stream)) => {
                self.begin_anew(n, now);
                self.live.hold(stream, by);
                let view = StreamView::of(&self.live.names, stream);
                FeedSource::Live { reader: Reader::new(stream, view, true), length_ms: None }
            }
            _ => FeedSource::Nothing,
        };
        let programmes = &mut self.features.programmes;
        programmes.switches += u64::from(from != OnAir::Nothing && to != OnAir::Nothing);
        programmes.wake();
        let Some(one) = programmes.get_mut(n) else { return };
        one.switches += u32::from(from != OnAir::Nothing);
        (one.feed.source, one.feed.clock) = (source, None);
        one.switch.goes(to, now);
        let (app, name) = (Word(self.live.apps.name(one.app)), one.name.as_str());
        info!("{by} on air app={app} name={name:?} input={} instead_of={} reason={reason:?}", to.name(), from.name());
        match to {
            OnAir::Slate => self.open_slate(n, now),
            _ => self.feed_live(by, now),
        }
    }

    /// What comes now does not follow what came before.
    fn begin_anew(&mut self, n: u16, now: Millis) {
        let Some(stream) = one_stream(&self.features.programmes, n) else { return };
        match self.live.names.with_media(stream) {
            Some((_, media)) => media.republish(now),
            None => self.live.names.stream_mut(stream).time.republish(),
        }
    }

    /// Whether it is published, as it is from now on if nobody else publishes its name.
    fn is_programme_up(&mut self, n: u16, now: Millis) -> bool {
        let Some(one) = self.features.programmes.get(n) else { return false };
        if one.feed.stream.is_some() {
            return true;
        }
        let (app, who) = (one.app, Publisher { by: holder(n), home: None });
        let Some(path) = self.live.apps.path(app, &one.name) else { return false };
        if self.live.publisher(app, &path).is_some() {
            // Somebody has done so since before it was a programme, and goes on until it leaves.
            return false;
        }
        match self.live.publish(who, app, &path, &self.settings, now) {
            Ok(Published::Begun(stream) | Published::Already(stream)) => {
                if let Some(one) = self.features.programmes.get_mut(n) {
                    one.feed.stream = Some(stream);
                }
                self.hear(now);
                true
            }
            _ => {
                let (app, name) = (Word(self.live.apps.name(app)), path.as_str());
                warn!("{} publish refused app={app} name={name:?}: every stream is in use (limits.streams)", who.by);
                false
            }
        }
    }

    /// Nothing is left of it: it ends as a stream does whose encoder has left.
    fn end_programme(&mut self, n: u16, now: Millis) {
        self.drop_source(holder(n), now);
        let Some(one) = self.features.programmes.get_mut(n) else { return };
        one.switch.goes(OnAir::Nothing, now);
        if let Some(stream) = one.feed.stream.take() {
            self.publish_ended(holder(n), stream, now);
        }
    }

    /// It is published no more, whoever has ended that.
    pub(super) fn hear_of_programmes(&mut self, what: &Happened, now: Millis) {
        if let Happened::Ended { by: by @ Holder::Feature(..), stream, .. } = *what
            && let Some(n) = self.features.programmes.next_that(0, |one| one.feed.stream == Some(stream))
            && by == holder(n)
        {
            self.drop_source(by, now);
            if let Some(one) = self.features.programmes.get_mut(n) {
                one.feed.stream = None;
            }
            self.features.programmes.lost(n, now);
        }
        self.tend_programmes(now);
    }

    /// The file of its slate is looked for: to show it, or, while it is not on air, to say when there is none.
    fn open_slate(&mut self, n: u16, now: Millis) {
        let client = RecordedClient { by: holder(n), message_stream_id: 1, legacy: false, most_lead_ms: 0 };
        let Some(item) = self.slate_item(n) else { return self.slate_ended(n, now) };
        let opened = self.features.recorded.open(client, item, None, None, now);
        let Some(one) = self.features.programmes.get_mut(n) else { return };
        let shows = one.switch.on_air() == OnAir::Slate && matches!(one.feed.source, FeedSource::Nothing);
        match opened {
            Ok(id) if shows => (one.feed.source, one.feed.clock) = (FeedSource::Recorded { id, begun: None }, None),
            Ok(_) => {}
            Err(_) if self.settings.recorded_players == 0 => {
                self.slate_refused(n, format_args!("there are no players of recorded streams ({PLAYERS})"), now);
            }
            Err(_) => {
                one.try_slate_later(now);
                if shows {
                    let words = "every player of recorded streams is in use";
                    self.warn_of_slate(n, format_args!("{words} ({PLAYERS}): it is tried again"));
                }
            }
        }
    }

    fn slate_item(&self, n: u16) -> Option<PlaylistItem> {
        let one = self.features.programmes.get(n)?;
        let slate = one.settings(&self.live)?.slate.as_ref()?;
        let name = self.live.apps.definition(one.app)?.recorded_name(DEFAULT_INSTANCE, slate.as_bytes()).ok()?;
        Some(PlaylistItem { name, start_ms: 0, length: PlayedLength::Whole })
    }

    /// The disk has said what there is of it. It begins again whenever it has come to its end.
    pub(super) fn slate_opened(
        &mut self,
        n: u16,
        id: RecordedId,
        found: Result<RecordedFacts, NotPlayed>,
        now: Millis,
    ) {
        let missing = |why| refusals::row(refusal(why)).words;
        let Some(one) = self.features.programmes.get_mut(n).filter(|one| one.feed.plays(id)) else {
            // It was looked for while it is not on air.
            self.features.recorded.free(id);
            if let Err(why) = found {
                self.warn_of_slate(n, format_args!("{}", missing(why)));
            }
            return;
        };
        // The file may be another one each time that it begins.
        one.compares = true;
        let codecs = (one.seen.0.map(|info| info.codec), one.seen.1.map(|info| info.codec));
        let facts = match found {
            Ok(facts) => facts,
            Err(why) => return self.slate_refused(n, format_args!("{}", missing(why)), now),
        };
        if codecs != (facts.video, facts.audio) {
            let (is, was) = (Codecs(facts.video, facts.audio), Codecs(codecs.0, codecs.1));
            return self.slate_refused(n, format_args!("it is {is}, and viewers had {was}: {UNFIT}"), now);
        }
        if !self.features.recorded.is_between_items(id) {
            self.begin_anew(n, now);
        }
        self.features.recorded.begin(id, now);
        if let Some(item) = self.slate_item(n) {
            self.features.recorded.queue(id, item);
        }
    }

    /// Whether what is due of a slate is what viewers can go on with: whoever has set up for other pictures or sound may fail at it.
    pub(super) fn slate_fits(&mut self, by: Holder, id: RecordedId, now: Millis) -> bool {
        let Holder::Feature(FeatureId::PROGRAMMES, n) = by else { return true };
        let Features { recorded, programmes, .. } = &mut self.features;
        let Some(one) = programmes.get_mut(n).filter(|one| one.compares) else { return true };
        let RecordedDue::Bytes(bytes) = recorded.due(id, now) else { return true };
        let Some(header) = MessageHeader::parse_type0(bytes) else { return true };
        let Some(kind) = TagKind::of_message_type(header.type_id).and_then(TagKind::media_type) else { return true };
        let framing = Framing { timestamp: header.timestamp, length: header.length };
        let whole = bytes.len().min(framing.wire_bytes() as usize);
        let body = payload(&bytes[..whole], 0, framing).next().unwrap_or_default();
        let Some((codec, record)) = flv::sequence_header_body(kind, body) else {
            one.compares = false;
            return true;
        };
        let seen = one.seen;
        match kind {
            MediaType::Video => {
                let is = VideoInfo::parse(codec, record).unwrap_or(VideoInfo::unknown(codec));
                let key = |info: VideoInfo| (info.codec, info.size, info.profile);
                match seen.0.filter(|was| key(*was) != key(is)) {
                    Some(was) => self.slate_refused(n, format_args!("it is {is}, and viewers had {was}: {UNFIT}"), now),
                    None => return true,
                }
            }
            MediaType::Audio => {
                let is = AudioInfo::parse(codec, record).unwrap_or(AudioInfo::unknown(codec));
                match seen.1.filter(|was| *was != is) {
                    Some(was) => self.slate_refused(n, format_args!("it is {is}, and viewers had {was}: {UNFIT}"), now),
                    None => return true,
                }
            }
        }
        false
    }

    /// Its slate is not shown, for this reason.
    fn slate_refused(&mut self, n: u16, why: fmt::Arguments<'_>, now: Millis) {
        self.warn_of_slate(n, why);
        self.slate_ended(n, now);
    }

    fn warn_of_slate(&self, n: u16, why: fmt::Arguments<'_>) {
        if let Some(one) = self.features.programmes.get(n) {
            let slate = one.settings(&self.live).and_then(|settings| settings.slate.as_deref()).unwrap_or_default();
            let (app, name) = (Word(self.live.apps.name(one.app)), one.name.as_str());
            warn!("{} slate refused app={app} name={name:?} slate={slate:?}: {why}", holder(n));
        }
    }

    /// Its slate cannot be shown any longer.
    pub(super) fn slate_ended(&mut self, n: u16, now: Millis) {
        let Some(one) = self.features.programmes.get_mut(n).filter(|one| one.switch.on_air() == OnAir::Slate) else {
            return;
        };
        one.switch.slate_failed();
        self.drop_source(holder(n), now);
        self.features.programmes.wake();
    }

    /// By which path scripts and hooks know a stream: where a main input is `published`, by that of its programme, which its encoder says.
    pub(super) fn path_told(&self, id: StreamId, published: bool) -> StreamPath {
        let stream = self.live.names.stream(id);
        let programme = self.features.programmes.with_main(stream.app, stream.path.as_str()).filter(|_| published);
        let path = programme.and_then(|name| self.live.apps.path(stream.app, name));
        path.unwrap_or_else(|| stream.path.clone())
    }

    /// What is on air of a stream, if it is one of them.
    pub(super) fn programme_row(&self, id: StreamId, now: Millis) -> Option<ProgrammeRow> {
        let programmes = &self.features.programmes;
        let one = programmes.get(programmes.next_that(0, |one| one.feed.stream == Some(id))?)?;
        let (input, seconds) = (one.switch.on_air().name(), now.since(one.switch.since()) / 1000);
        Some(ProgrammeRow { input, seconds, switches: one.switches })
    }

    /// The stream to which goes what somebody publishes by that path.
    pub(super) fn published_path(&self, app: AppId, path: StreamPath) -> StreamPath {
        if path.instance() != DEFAULT_INSTANCE || !self.features.programmes.is_programme(app, path.as_str(), &self.live)
        {
            return path;
        }
        let mut name = heapless::String::<PATH_BYTES>::new();
        let fits = name.push_str(path.as_str()).and_then(|()| name.push_str(MAIN_INPUT)).is_ok();
        self.live.apps.path(app, &name).filter(|_| fits).unwrap_or(path)
    }
}
