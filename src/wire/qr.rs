//! QR codes (ISO/IEC 18004): a URL as a square that phones read, drawn for a browser and for a terminal.

use core::fmt::{self, Write};

use qrcodegen_no_heap::{QrCode, QrCodeEcc, Version};

/// The largest version that is made: 41 modules a side. What is shown has to be read from a TV across a room.
const LARGEST: Version = Version::new(6);
/// The most bytes of a text: what version 6 takes at the level M of error correction.
pub const TEXT_BYTES: usize = 106;
/// Light modules that are left around it, on each side: readers find it by them.
const MARGIN: i32 = 4;

/// Where a code is made.
pub struct Room {
    text: [u8; LARGEST.buffer_len()],
    code: [u8; LARGEST.buffer_len()],
}

impl Default for Room {
    fn default() -> Room {
        Room { text: [0; LARGEST.buffer_len()], code: [0; LARGEST.buffer_len()] }
    }
}

/// A code.
pub struct Qr<'a>(QrCode<'a>);

impl Qr<'_> {
    /// The code of a text. `None` when it is longer than [`TEXT_BYTES`].
    pub fn new<'a>(text: &str, room: &'a mut Room) -> Option<Qr<'a>> {
        if text.len() > TEXT_BYTES {
            return None;
        }
        let smallest = Version::new(1);
        let level = QrCodeEcc::Medium;
        QrCode::encode_text(text, &mut room.text, &mut room.code, level, smallest, LARGEST, None, true).ok().map(Qr)
    }

    /// Modules a side, the margin included.
    pub fn side(&self) -> u32 {
        (self.0.size() + 2 * MARGIN) as u32
    }

    /// Whether a module is dark; those of the margin are not.
    pub fn is_dark(&self, x: u32, y: u32) -> bool {
        self.0.get_module(x as i32 - MARGIN, y as i32 - MARGIN)
    }

    /// The dark modules of a row as a part of an SVG path, a rectangle for each run of them: `M4 5h7v1h-7z`. At most
    /// [`SVG_ROW_BYTES`].
    pub fn svg_row(&self, y: u32) -> impl fmt::Display {
        fmt::from_fn(move |f| {
            let mut x = 0;
            while x < self.side() {
                let run = (x..self.side()).take_while(|&x| self.is_dark(x, y)).count() as u32;
                if run > 0 {
                    write!(f, "M{x} {y}h{run}v1h-{run}z")?;
                }
                x += run.max(1);
            }
            Ok(())
        })
    }

    /// The code as text: two rows a line, in half blocks. The colours are said, since terminals are dark and light.
    pub fn terminal(&self) -> impl fmt::Display {
        fmt::from_fn(move |f| {
            for y in (0..self.side()).step_by(2) {
                f.write_str("  \x1b[38;5;16;48;5;231m")?;
                for x in 0..self.side() {
                    f.write_char(match (self.is_dark(x, y), self.is_dark(x, y + 1)) {
                        (true, true) => '█',
                        (true, false) => '▀',
                        (false, true) => '▄',
                        (false, false) => ' ',
                    })?;
                }
                f.write_str("\x1b[0m\n")?;
            }
            Ok(())
        })
    }
}

/// The most bytes of [`Qr::svg_row`]: every second of 41 modules dark.
pub const SVG_ROW_BYTES: usize = 21 * "M40 40h1v1h-1z".len();

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_has_the_corners_that_readers_look_for() {
        let mut room = Room::default();
        let code = Qr::new("http://192.168.1.20:8080/", &mut room).unwrap();
        assert_eq!(code.side(), 25 + 8);
        // ISO/IEC 18004, section 6.3.3: a square of seven around one of three, at three corners.
        for (left, top) in [(4, 4), (4 + 18, 4), (4, 4 + 18)] {
            for at in 0..7 {
                assert!(code.is_dark(left + at, top) && code.is_dark(left, top + at), "{at}");
            }
            assert!(!code.is_dark(left + 1, top + 1) && code.is_dark(left + 3, top + 3));
        }
        assert!((0..33).all(|at| !code.is_dark(at, 0) && !code.is_dark(0, at) && !code.is_dark(32, at)));
    }

    #[test]
    fn rows_and_lines_draw_the_same_modules() {
        let mut room = Room::default();
        let text = "x".repeat(TEXT_BYTES);
        let code = Qr::new(&text, &mut room).unwrap();
        assert_eq!(code.side(), 41 + 8);
        let dark = |y| (0..code.side()).filter(|&x| code.is_dark(x, y)).count() as u32;
        for y in 0..code.side() {
            let row = code.svg_row(y).to_string();
            assert!(row.len() <= SVG_ROW_BYTES);
            let runs = row
                .split('M')
                .skip(1)
                .map(|run| run[run.find('h').unwrap() + 1..run.find('v').unwrap()].parse::<u32>().unwrap());
            assert_eq!(runs.sum::<u32>(), dark(y), "{row}");
        }
        let shown = code.terminal().to_string();
        let shown = shown.chars().map(|c| match c {
            '█' => 2,
            '▀' | '▄' => 1,
            _ => 0,
        });
        assert_eq!(shown.sum::<u32>(), (0..code.side()).map(dark).sum::<u32>());
    }

    #[test]
    fn a_text_that_is_too_long_has_none() {
        assert!(Qr::new(&"x".repeat(TEXT_BYTES + 1), &mut Room::default()).is_none());
    }
}
