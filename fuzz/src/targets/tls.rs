//! TLS under the protocols, with a client of rustls at the other end of a socket: whole handshakes in both versions and what is said in
//! them, in pieces of any length, changed on the way, or of the fuzzer's own making. What the server is given is never anything
//! else than what its client has said; untouched it is all of it, and comes back as an echo.

use std::fs;
use std::io::{IoSlice, Read, Write};
use std::mem::take;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, OnceLock};
use std::thread::sleep;
use std::time::Instant;

use mio::net::TcpStream;
use rill::config::TlsPlaces;
use rill::handles::SlotIndex;
use rill::net::tls::{TlsFiles, TlsIndex, TlsOffer, TlsTable};
use rill::server::transport::Io;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, ClientConnection, DigitallySignedStruct, Error, SignatureScheme};

/// Rounds in which nothing new was said by either end, after which nothing will be.
const QUIET: usize = 3;
/// The first byte of the input.
const TLS_1_2: u8 = 1;
const FOREIGN: u8 = 2;

/// How, in which pieces and with how much room to read, how much is said, and then what is changed: where, and by which bits. Or,
/// behind the lengths, all that comes.
pub fn run(bytes: &[u8]) {
    let [how, piece, room, said, rest @ ..] = bytes else { return };
    let piece = usize::from(*piece) * 8 + 1;
    let mut server = Served::new(usize::from(*room) * 64 + 1);
    if how & FOREIGN != 0 {
        for part in rest.chunks(piece) {
            server.is_sent(part);
        }
        assert!(server.heard.is_empty(), "nobody shook hands");
        return;
    }
    let said: Vec<u8> = (0..usize::from(*said) * 160).map(|at| at as u8).collect();
    let changes: Vec<(usize, u8)> = rest
        .chunks_exact(3)
        .map(|change| (usize::from(u16::from_be_bytes([change[0], change[1]])), change[2]))
        .collect();
    let is_whole = changes.iter().all(|(_, bits)| *bits == 0);
    let (mut client, mut sent, mut echoed, mut quiet) = (client(how & TLS_1_2 != 0), 0, Vec::new(), 0);
    let mut has_failed = false;
    client.writer().write_all(&said).expect("rustls keeps what is said before the handshake is done");
    while quiet < QUIET {
        if !client.is_handshaking() {
            client.send_close_notify();
        }
        let (mut flight, before) = (Vec::new(), (sent, server.heard.len(), echoed.len()));
        while client.wants_write() {
            client.write_tls(&mut flight).expect("a Vec takes all");
        }
        for (at, bits) in &changes {
            if let Some(byte) = at.checked_sub(sent).and_then(|at| flight.get_mut(at)) {
                *byte ^= bits;
            }
        }
        sent += flight.len();
        flight.chunks(piece).for_each(|part| server.is_sent(part));
        server.is_sent(&[]);
        let answered = server.answers();
        let mut answered = &answered[..];
        // What the client makes of changes that it caused is its own affair: rustls takes no error after its own, or after its end.
        while !answered.is_empty() && !has_failed && (is_whole || client.is_handshaking()) {
            has_failed = !matches!(client.read_tls(&mut answered), Ok(1..)) || client.process_new_packets().is_err();
            let _ = client.reader().read_to_end(&mut echoed);
        }
        quiet = if before == (sent, server.heard.len(), echoed.len()) { quiet + 1 } else { 0 };
    }
    assert!(said.starts_with(&server.heard), "it was told what nobody said");
    if is_whole {
        assert!(server.heard == said && echoed == said && server.has_ended, "untouched, all of it arrives");
    }
}

/// A connection of the server's side, which says again what it hears.
struct Served {
    table: TlsTable,
    at: TlsIndex,
    stream: TcpStream,
    /// The client's end of the socket.
    far: UnixStream,
    buffer: Vec<u8>,
    heard: Vec<u8>,
    /// Bytes of it that were said again.
    echoed: usize,
    /// What came of it at the client's end.
    answers: Vec<u8>,
    has_ended: bool,
    is_broken: bool,
}

impl Served {
    fn new(room: usize) -> Served {
        let (near, far) = UnixStream::pair().expect("the system has sockets");
        near.set_nonblocking(true).expect("it can be asked without waiting");
        far.set_nonblocking(true).expect("it can be asked without waiting");
        let offer = TlsOffer::default();
        TlsFiles::open(places(), offer.clone()).expect("the certificate is right");
        let mut table = TlsTable::new(1, offer);
        let at = table.begin(SlotIndex(0), None).expect("there is a place, and a certificate");
        let stream = TcpStream::from_std(std::net::TcpStream::from(OwnedFd::from(near)));
        let (buffer, heard, answers) = (vec![0; room], Vec::new(), Vec::new());
        Served { table, at, stream, far, buffer, heard, echoed: 0, answers, has_ended: false, is_broken: false }
    }

    /// Gives it a part of what its client has sent, and lets it read and answer. Of nothing it does what is left to do.
    fn is_sent(&mut self, part: &[u8]) {
        // The server reads as it comes, so there is room; who has closed it hears no more.
        let _ = self.far.write_all(part);
        loop {
            if let Some(rest) = self.table.rests_for(Instant::now()) {
                sleep(rest);
                self.table.next_rested(Instant::now());
            }
            if self.is_broken {
                return;
            }
            match self.table.read(self.at, &mut self.stream, &mut self.buffer) {
                Io::Done(0) => {
                    if !self.has_ended {
                        self.echo();
                        self.table.finish(self.at, &mut self.stream);
                    }
                    self.has_ended = true;
                    return;
                }
                Io::Done(bytes) => {
                    assert!(!self.has_ended, "the end comes last");
                    self.heard.extend(&self.buffer[..bytes]);
                    self.echo();
                }
                Io::WouldBlock if self.table.rests_for(Instant::now()).is_some() => {}
                Io::WouldBlock => {
                    assert!(!self.table.has_plain(self.at), "what was decrypted is not kept back");
                    return self.echo();
                }
                Io::Last(_) => panic!("bytes that no event tells of may be left"),
                Io::Broken(_) => self.is_broken = true,
            }
        }
    }

    /// Says what it has heard.
    fn echo(&mut self) {
        while self.echoed < self.heard.len() && !self.has_ended {
            match self.table.write(self.at, &mut self.stream, &[IoSlice::new(&self.heard[self.echoed..])]) {
                Io::Done(bytes) | Io::Last(bytes) => self.echoed += bytes,
                // The socket is full, or nothing can be said yet.
                Io::WouldBlock if self.drain() => {}
                Io::WouldBlock => return,
                Io::Broken(_) => {
                    self.is_broken = true;
                    return;
                }
            }
        }
    }

    /// What it has sent since it was asked last.
    fn answers(&mut self) -> Vec<u8> {
        while self.drain() {
            self.table.flush(self.at, &mut self.stream);
        }
        take(&mut self.answers)
    }

    /// Takes what it has sent out of the socket, if anything.
    fn drain(&mut self) -> bool {
        let before = self.answers.len();
        // What has come is kept when the rest would have to be waited for.
        let _ = self.far.read_to_end(&mut self.answers);
        self.answers.len() > before
    }
}

/// The certificate of all runs, and its key, which is no secret.
fn places() -> &'static TlsPlaces {
    static PLACES: OnceLock<TlsPlaces> = OnceLock::new();
    PLACES.get_or_init(|| {
        let place = |name: &str, text: &str| {
            let path = std::env::temp_dir().join(format!("rill-fuzz-{}-{name}", std::process::id()));
            fs::write(&path, text).expect("there is room for a certificate");
            Some(path)
        };
        TlsPlaces {
            certificate: place("certificate.pem", include_str!("tls/certificate.pem")),
            key: place("key.pem", include_str!("tls/key.pem")),
            ..TlsPlaces::default()
        }
    })
}

fn client(is_tls_1_2: bool) -> ClientConnection {
    static CONFIGS: OnceLock<[Arc<ClientConfig>; 2]> = OnceLock::new();
    let configs = CONFIGS.get_or_init(|| {
        [&TLS13, &TLS12].map(|version| {
            let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
            let builder = builder.with_protocol_versions(&[version]).expect("the version is known");
            let believing = builder.dangerous().with_custom_certificate_verifier(Arc::new(BelievesAll));
            Arc::new(believing.with_no_client_auth())
        })
    });
    let name = ServerName::try_from("localhost").expect("a name");
    ClientConnection::new(configs[usize::from(is_tls_1_2)].clone(), name).expect("a connection")
}

#[derive(Debug)]
struct BelievesAll;

impl ServerCertVerifier for BelievesAll {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        ring::default_provider().signature_verification_algorithms.supported_schemes()
    }
}
