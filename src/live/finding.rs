//! What can be wrong with the board, the network or a stream, each with what to do about it: the one table of these sentences,
//! which the log, `rill ctl diagnose`, the page and a board's screen show.
//!
//! [`FindingKind::row`] has when each comes and goes ([`super::symptoms`]); what is looked at stands in [`super::trouble`] for
//! streams and in [`super::health`] for the rest.

use core::fmt;

use crate::wire::codec::{Level, Size};
use crate::wire::flv::Codec;

/// The unit in which `limits.ring_bytes` is advised, in bytes.
const MIB: u64 = 1 << 20;

/// Something that is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finding {
    /// The supply does not hold the board's voltage.
    UnderVoltage,
    /// The board is this hot.
    Hot {
        /// Its processor, in degrees Celsius.
        celsius: u32,
    },
    /// The processor is slowed down.
    Throttled,
    /// Little is free where recordings and files are.
    CardFull {
        /// In megabytes.
        free_mb: u32,
    },
    /// The memory chip says that so much of its life is used up.
    CardWorn {
        /// In percent; more than 100 is beyond it.
        percent: u32,
    },
    /// The certificate that clients are shown ends soon, or has ended.
    CertificateEnds {
        /// In so many days; 0 is today, or before.
        days: u32,
    },
    /// Hooks do not answer.
    HookDown {
        /// How many.
        hooks: u32,
    },
    /// Somebody found no place.
    Full {
        /// Where.
        table: FullTable,
        /// How often in the last minute.
        times: u32,
    },
    /// Several viewers at once take less than they are sent.
    NetworkFull {
        /// How many.
        behind: u32,
        /// Of so many.
        viewers: u32,
    },
    /// Two encoders publish under one name.
    Contested {
        /// How often one was refused in the last minute.
        times: u32,
    },
    /// No ring took frames.
    FramesDropped {
        /// How many, in the last minute.
        count: u32,
        /// The largest that was too large, in wire bytes; 0 where too many came at once.
        largest: u32,
        /// The ring, in bytes.
        ring_bytes: u32,
    },
    /// Nothing comes from the encoder.
    Silent {
        /// For so long.
        seconds: u32,
    },
    /// Media stood still and came all at once afterwards.
    Stalled {
        /// How often in the last minute.
        times: u32,
    },
    /// Media comes later and later.
    Late {
        /// So much later than it did.
        ms: u32,
    },
    /// There is video, and no key frame.
    NoKeyFrame,
    /// The newest key frame has left the ring.
    KeyFrameLost,
    /// Key frames are far apart.
    KeyFramesRare {
        /// So far.
        seconds: u32,
    },
    /// Sound was promised, and none came.
    NoSound,
    /// A picture that not every phone can show.
    NotForPhones(PictureFlaw),
    /// Some viewers take less than they are sent.
    ViewersSlow {
        /// How many are behind now.
        behind: u32,
        /// Of so many.
        viewers: u32,
        /// How often viewers skipped in the last minute.
        skips: u32,
    },
}

/// Why a picture is not shown everywhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PictureFlaw {
    /// Its codec.
    Codec(Codec),
    /// H.264 in this profile.
    Profile(&'static str),
    /// Its size.
    Size(Size),
    /// H.264 of this level.
    Level(Level),
}

/// A table that was full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FullTable {
    /// Of connections, ...
    Connections,
    /// ... of those that one address may have, ...
    Address,
    /// ... of streams, ...
    Streams,
    /// ... of applications, ...
    Applications,
    /// ... of recordings, ...
    Recordings,
    /// ... of players of recorded streams, ...
    RecordedPlayers,
    /// ... and of connections with TLS.
    TlsConnections,
}

impl FullTable {
    /// All of them.
    pub const ALL: [FullTable; 7] = [
        FullTable::Connections,
        FullTable::Address,
        FullTable::Streams,
        FullTable::Applications,
        FullTable::Recordings,
        FullTable::RecordedPlayers,
        FullTable::TlsConnections,
    ];

    /// What there was no place for, and the key that raises it.
    const fn words(self) -> (&'static str, &'static str) {
        match self {
            FullTable::Connections => ("connections", "limits.connections"),
            FullTable::Address => ("connections of one address", "limits.connections_per_address"),
            FullTable::Streams => ("streams", "limits.streams"),
            FullTable::Applications => ("applications", "limits.applications"),
            FullTable::Recordings => ("recordings", "limits.recordings"),
            FullTable::RecordedPlayers => ("players of recorded streams", "limits.recorded_players"),
            FullTable::TlsConnections => ("connections with TLS", "limits.tls_connections"),
        }
    }
}

/// Declares the kinds, the gravest first, with a row each.
macro_rules! kinds {
    ($($kind:ident, $name:literal, $comes_ms:literal, $goes_ms:literal, $remedy:literal;)*) => {
        /// Which finding it is, whatever its figures are; the gravest first.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum FindingKind {
            $(#[doc = concat!("See [`Finding::", stringify!($kind), "`].")] $kind,)*
        }

        impl FindingKind {
            /// All of them.
            pub const ALL: &[FindingKind] = &[$(FindingKind::$kind),*];

            /// What holds for all of the kind.
            pub const fn row(self) -> &'static FindingRow {
                const ROWS: &[FindingRow] =
                    &[$(FindingRow { name: $name, comes_ms: $comes_ms, goes_ms: $goes_ms, remedy: $remedy }),*];
                &ROWS[self as usize]
            }
        }

        impl Finding {
            /// Which it is.
            pub const fn kind(self) -> FindingKind {
                match self { $(Finding::$kind { .. } => FindingKind::$kind,)* }
            }
        }
    };
}

/// What holds for all findings of a kind.
#[derive(Debug)]
pub struct FindingRow {
    /// One word, for programs.
    pub name: &'static str,
    /// It counts when it has been so for this long, in milliseconds.
    pub comes_ms: u32,
    /// It is over when it has not been so for this long, in milliseconds.
    pub goes_ms: u32,
    /// What to do.
    remedy: &'static str,
}

kinds! {
    UnderVoltage, "under_voltage", 0, 60_000,
        "use the board's own power supply, or a shorter and thicker cable, and nothing else on its USB";
    Hot, "hot", 0, 30_000, "give it a heat sink and air, and take it out of the sun";
    Throttled, "throttled", 0, 60_000, "cool the board, and use its own power supply";
    CardFull, "card_full", 0, 30_000,
        "delete recordings (rill ctl delete-recording, or the files), or keep fewer of them (record.keep_days)";
    CardWorn, "card_worn", 0, 0, "copy what is on it, and replace it";
    CertificateEnds, "certificate_ends", 0, 0,
        "put another one in place of server.tls.certificate and server.tls.key, then: rill ctl reload";
    HookDown, "hook_down", 0, 0,
        "see whether what hooks.on_connect and the others name runs and is reached; the log says which does not answer and why";
    Full, "full", 0, 0, "raise";
    NetworkFull, "network_full", 3_000, 15_000,
        "connect the board by cable, lower the encoder's bitrate, or have fewer watch at once";
    Contested, "contested", 0, 0, "give each encoder a stream key of its own";
    FramesDropped, "frames_dropped", 0, 0, "lower the encoder's bitrate";
    Silent, "silent", 0, 5_000, "see whether the encoder runs, and how good its connection is";
    Stalled, "stalled", 0, 0, "give the encoder a better connection, by cable where that can be, or lower its bitrate";
    Late, "late", 0, 60_000,
        "lower the encoder's bitrate, or give it a better line and a computer that keeps up";
    NoKeyFrame, "no_key_frame", 0, 0, "set a key frame every 2 s in the encoder";
    KeyFrameLost, "key_frame_lost", 0, 10_000,
        "set a key frame every 2 s in the encoder or raise limits.ring_bytes";
    KeyFramesRare, "key_frames_rare", 0, 20_000, "set a key frame every 2 s in the encoder (keyframe interval)";
    NoSound, "no_sound", 0, 0, "see whether the encoder's microphone is on and chosen; AAC is what all viewers can play";
    NotForPhones, "not_for_phones", 0, 0, "have the encoder send H.264, 8 bit, 4:2:0, profile High, at most 1920x1080";
    ViewersSlow, "viewers_slow", 3_000, 15_000,
        "bring them nearer to the access point or give them a cable, or lower the encoder's bitrate; rill ctl clients shows who lags";
}

/// What is wrong, as a sentence without its full stop.
impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Finding::UnderVoltage => f.write_str("the board's power supply is too weak: its voltage drops"),
            Finding::Hot { celsius } => write!(f, "the board is too hot: {celsius} °C"),
            Finding::Throttled => {
                f.write_str("the board's processor is slowed down, for it is hot or its supply is weak")
            }
            Finding::CardFull { free_mb } => write!(f, "the card is nearly full: {free_mb} MB are free"),
            Finding::CardWorn { percent } => write!(f, "the card is worn: about {percent} % of its life are used up"),
            Finding::CertificateEnds { days: 0 } => {
                f.write_str("the certificate for TLS has ended, or does so today: clients that look at it stay away")
            }
            Finding::CertificateEnds { days: 1 } => f.write_str("the certificate for TLS ends tomorrow"),
            Finding::CertificateEnds { days } => write!(f, "the certificate for TLS ends in {days} days"),
            Finding::HookDown { hooks: 1 } => {
                f.write_str("a hook does not answer: hooks.when_down says whether clients are let in")
            }
            Finding::HookDown { hooks } => {
                write!(f, "{hooks} hooks do not answer: hooks.when_down says whether clients are let in")
            }
            Finding::Full { table, times } => {
                write!(
                    f,
                    "all {} are in use: there was no place for one more, {} in the last minute",
                    table.words().0,
                    Times(times)
                )
            }
            Finding::NetworkFull { behind, viewers } => write!(
                f,
                "the network is full: {behind} of {viewers} viewers at once do not get what the encoder sends"
            ),
            Finding::Contested { times } => write!(
                f,
                "two encoders want to publish under this name: one was refused {} in the last minute",
                Times(times)
            ),
            Finding::FramesDropped { count, largest: 0, .. } => {
                write!(f, "{count} frames dropped in the last minute: too many came at once")
            }
            Finding::FramesDropped { count: 1, largest, ring_bytes } => write!(
                f,
                "frames are too large for memory: 1 frame of {largest} bytes dropped, for a ring of {ring_bytes} bytes takes \
                 half of that at most"
            ),
            Finding::FramesDropped { count, largest, ring_bytes } => write!(
                f,
                "frames are too large for memory: {count} frames of up to {largest} bytes dropped, for a ring of {ring_bytes} \
                 bytes takes half of that at most"
            ),
            Finding::Silent { seconds } => write!(f, "nothing has come from the encoder for {seconds} s"),
            Finding::Stalled { times } => {
                write!(f, "the encoder's connection stalled {} in the last minute", Times(times))
            }
            Finding::Late { ms } => {
                write!(f, "uplink too slow: media comes {}.{} s later than it did", ms / 1000, ms % 1000 / 100)
            }
            Finding::NoKeyFrame => f.write_str("no key frame has come: no viewer has a picture"),
            Finding::KeyFrameLost => f.write_str(
                "the newest key frame has left the ring: viewers who join hear at once and wait for a picture",
            ),
            Finding::KeyFramesRare { seconds } => write!(
                f,
                "a key frame comes only every {seconds} s: viewers wait up to {seconds} s for a picture, or are as far behind"
            ),
            Finding::NoSound => f.write_str("the encoder said that there is sound, and none has come"),
            Finding::NotForPhones(picture) => {
                write!(f, "phones and browsers may not show this picture: it is {picture}")
            }
            Finding::ViewersSlow { behind, viewers, skips } => write!(
                f,
                "viewers too slow: {behind} of {viewers} are behind, and they skipped {} in the last minute; it is their \
                 own connection, mostly Wi-Fi, and not the board",
                Times(skips)
            ),
        }
    }
}

/// What to do about it, likewise.
#[derive(Clone, Copy, Debug)]
pub struct Remedy(pub Finding);

impl fmt::Display for Remedy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let remedy = self.0.kind().row().remedy;
        match self.0 {
            Finding::Full { table, .. } => write!(f, "{remedy} {}", table.words().1),
            Finding::FramesDropped { largest, ring_bytes, .. } if largest > 0 => write!(
                f,
                "raise limits.ring_bytes to {}MiB or {remedy} to {} % of what it is",
                (2 * u64::from(largest)).div_ceil(MIB),
                u64::from(ring_bytes) * 50 / u64::from(largest),
            ),
            _ => f.write_str(remedy),
        }
    }
}

/// Its figures as members of a JSON array, for who says it in another language.
#[derive(Clone, Copy, Debug)]
pub struct Figures(pub Finding);

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Finding::Hot { celsius: one }
            | Finding::CardFull { free_mb: one }
            | Finding::CardWorn { percent: one }
            | Finding::CertificateEnds { days: one }
            | Finding::HookDown { hooks: one }
            | Finding::Contested { times: one }
            | Finding::Silent { seconds: one }
            | Finding::Stalled { times: one }
            | Finding::KeyFramesRare { seconds: one } => write!(f, "{one}"),
            Finding::Late { ms } => write!(f, "{}", (ms + 500) / 1000),
            Finding::Full { table, times } => write!(f, "{times},\"{}\"", table.words().1),
            Finding::NetworkFull { behind, viewers } => write!(f, "{behind},{viewers}"),
            Finding::FramesDropped { count, largest, .. } => write!(f, "{count},{largest}"),
            Finding::ViewersSlow { behind, viewers, skips } => write!(f, "{behind},{viewers},{skips}"),
            Finding::NotForPhones(picture) => write!(f, "\"{picture}\""),
            Finding::UnderVoltage
            | Finding::Throttled
            | Finding::NoKeyFrame
            | Finding::KeyFrameLost
            | Finding::NoSound => Ok(()),
        }
    }
}

impl fmt::Display for PictureFlaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PictureFlaw::Codec(codec) => write!(f, "{codec}"),
            PictureFlaw::Profile(profile) => write!(f, "H.264 {profile}"),
            PictureFlaw::Size(size) => write!(f, "{size} H.264"),
            PictureFlaw::Level(level) => write!(f, "H.264 level {level}"),
        }
    }
}

/// `once`, or `3 times`.
struct Times(u32);

impl fmt::Display for Times {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            1 => f.write_str("once"),
            times => write!(f, "{times} times"),
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::collections::BTreeSet;
    use std::string::ToString;

    use super::*;

    /// One of each kind, with the largest figures.
    pub(in crate::live) fn all() -> Vec<Finding> {
        let most = u32::MAX;
        vec![
            Finding::UnderVoltage,
            Finding::Hot { celsius: 85 },
            Finding::Throttled,
            Finding::CardFull { free_mb: most },
            Finding::CardWorn { percent: 110 },
            Finding::CertificateEnds { days: most },
            Finding::HookDown { hooks: most },
            Finding::Full { table: FullTable::RecordedPlayers, times: most },
            Finding::NetworkFull { behind: most, viewers: most },
            Finding::Contested { times: most },
            Finding::FramesDropped { count: most, largest: most, ring_bytes: most },
            Finding::Silent { seconds: most },
            Finding::Stalled { times: most },
            Finding::Late { ms: most - 500 },
            Finding::NoKeyFrame,
            Finding::KeyFrameLost,
            Finding::KeyFramesRare { seconds: most },
            Finding::NoSound,
            Finding::NotForPhones(PictureFlaw::Profile("High 4:4:4")),
            Finding::ViewersSlow { behind: most, viewers: most, skips: most },
        ]
    }

    #[test]
    fn each_kind_has_a_sentence_and_a_remedy_that_fit_a_piece_and_need_no_escape() {
        let all = all();
        assert_eq!(all.len(), FindingKind::ALL.len());
        let names: BTreeSet<&str> = FindingKind::ALL.iter().map(|kind| kind.row().name).collect();
        assert_eq!(names.len(), all.len());
        for (finding, kind) in all.iter().zip(FindingKind::ALL) {
            assert_eq!(finding.kind(), *kind);
            let (what, remedy) = (finding.to_string(), Remedy(*finding).to_string());
            for text in [&what, &remedy] {
                assert!(!text.is_empty() && !text.ends_with('.') && text.len() <= 250, "{text}");
                assert!(!text.contains(['"', '\\', '\n']), "{text}");
            }
            let figures: serde_json::Value = serde_json::from_str(&std::format!("[{}]", Figures(*finding))).unwrap();
            assert!(figures.as_array().unwrap().len() <= 3);
        }
    }

    #[test]
    fn advice_has_figures_of_its_own_and_names_keys() {
        let dropped = Finding::FramesDropped { count: 1, largest: 50_012, ring_bytes: 65_536 };
        assert_eq!(
            std::format!("{dropped}; {}", Remedy(dropped)),
            "frames are too large for memory: 1 frame of 50012 bytes dropped, for a ring of 65536 bytes takes half of that at \
             most; raise limits.ring_bytes to 1MiB or lower the encoder's bitrate to 65 % of what it is"
        );
        let full = Finding::Full { table: FullTable::Streams, times: 1 };
        assert_eq!(
            std::format!("{full}; {}", Remedy(full)),
            "all streams are in use: there was no place for one more, once in the last minute; raise limits.streams"
        );
    }
}
