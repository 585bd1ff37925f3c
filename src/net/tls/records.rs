//! TLS 1.2 and 1.3 by rustls, on buffers of ours (its unbuffered connections). Callers account for what it allocates
//! ([`protect`](crate::account::protect)).

use std::sync::Arc;

use rustls::client::{Resumption, UnbufferedClientConnection};
use rustls::crypto::ring::cipher_suite::{
    TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
    TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256, TLS13_AES_128_GCM_SHA256,
    TLS13_CHACHA20_POLY1305_SHA256,
};
use rustls::crypto::ring::{kx_group, sign};
use rustls::crypto::{CryptoProvider, GetRandomFailed, KeyProvider, SecureRandom, WebPkiSupportedAlgorithms};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::{NoServerSessionStorage, UnbufferedServerConnection};
use rustls::sign::SigningKey;
use rustls::unbuffered::{ConnectionState, UnbufferedStatus};
use rustls::{
    AlertDescription, CertificateError, ClientConfig, Error, InconsistentKeys, RootCertStore, ServerConfig,
    SignatureScheme, SupportedCipherSuite,
};
use webpki::ring as signatures;

use crate::server::close::{CertificateFault, TlsFault};
use crate::wire::x509;

/// A certificate with its key, and whom we believe.
pub(super) use rustls::{ClientConfig as Believed, ServerConfig as ServerKeys};

use super::buffers::{CipherInput, CipherOutput, PlainSink, Said, TlsProgress};

/// The longest chain of certificates in bytes: it is sent at once, with what else there is to say then.
const CHAIN_BYTES: usize = 12 << 10;

/// How signatures of far ends and of their certificates are checked, for TLS 1.2 and 1.3: what public authorities sign with, and
/// what `rill init --tls` and openssl make.
static SIGNATURES: WebPkiSupportedAlgorithms = WebPkiSupportedAlgorithms {
    all: &[
        signatures::ECDSA_P256_SHA256,
        signatures::ECDSA_P256_SHA384,
        signatures::ECDSA_P384_SHA256,
        signatures::ECDSA_P384_SHA384,
        signatures::ED25519,
        signatures::RSA_PKCS1_2048_8192_SHA256,
        signatures::RSA_PKCS1_2048_8192_SHA384,
        signatures::RSA_PKCS1_2048_8192_SHA512,
        signatures::RSA_PSS_2048_8192_SHA256_LEGACY_KEY,
        signatures::RSA_PSS_2048_8192_SHA384_LEGACY_KEY,
        signatures::RSA_PSS_2048_8192_SHA512_LEGACY_KEY,
    ],
    mapping: &[
        (SignatureScheme::ECDSA_NISTP256_SHA256, &[signatures::ECDSA_P256_SHA256, signatures::ECDSA_P384_SHA256]),
        (SignatureScheme::ECDSA_NISTP384_SHA384, &[signatures::ECDSA_P384_SHA384, signatures::ECDSA_P256_SHA384]),
        (SignatureScheme::ED25519, &[signatures::ED25519]),
        (SignatureScheme::RSA_PSS_SHA256, &[signatures::RSA_PSS_2048_8192_SHA256_LEGACY_KEY]),
        (SignatureScheme::RSA_PSS_SHA384, &[signatures::RSA_PSS_2048_8192_SHA384_LEGACY_KEY]),
        (SignatureScheme::RSA_PSS_SHA512, &[signatures::RSA_PSS_2048_8192_SHA512_LEGACY_KEY]),
        (SignatureScheme::RSA_PKCS1_SHA256, &[signatures::RSA_PKCS1_2048_8192_SHA256]),
        (SignatureScheme::RSA_PKCS1_SHA384, &[signatures::RSA_PKCS1_2048_8192_SHA384]),
        (SignatureScheme::RSA_PKCS1_SHA512, &[signatures::RSA_PKCS1_2048_8192_SHA512]),
    ],
};

/// One connection's keys and state.
pub(super) enum Records {
    /// Somebody made it to us.
    Accepted(UnbufferedServerConnection),
    /// We made it.
    Dialled(UnbufferedClientConnection),
}

/// Reads a chain of certificates and a private key, both as PEM. With them, from when the certificate counts, and until when, in seconds
/// since 1970.
///
/// # Errors
///
/// What is wrong with one of them, as a line ends that begins with its path; `(true, _)` is of the key.
#[expect(clippy::type_complexity, reason = "it is taken apart where it is called")]
pub(super) fn read(chain: &[u8], key: &[u8]) -> Result<(Arc<ServerConfig>, (u64, u64)), (bool, &'static str)> {
    let of_chain = |words| (false, words);
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(chain)
        .collect::<Result<_, _>>()
        .map_err(|_| of_chain("is not PEM, or is cut off"))?;
    let first = chain.first().ok_or(of_chain("holds no certificate (-----BEGIN CERTIFICATE-----)"))?;
    let valid_s = x509::validity(first).ok_or(of_chain("holds a certificate that cannot be read"))?;
    if chain.iter().map(|certificate| certificate.len()).sum::<usize>() > CHAIN_BYTES {
        return Err(of_chain("is longer than 12 KiB: leave out what clients need not be sent"));
    }
    let key = PrivateKeyDer::from_pem_slice(key).map_err(|_| (true, "holds no private key as PEM"))?;
    let config = ServerConfig::builder_with_provider(Arc::new(provider()))
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key));
    let mut config = config.map_err(|error| match error {
        Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => (true, "is not the key of the certificate"),
        _ => (true, "holds a key of another kind than ECDSA P-256, P-384, Ed25519 and RSA"),
    })?;
    // librtmp takes the tickets of TLS 1.3 for the end, and resuming would take memory for each client.
    config.send_tls13_tickets = 0;
    config.session_storage = Arc::new(NoServerSessionStorage {});
    // Who serves many chooses: what is fast here.
    config.ignore_client_order = true;
    Ok((Arc::new(config), valid_s))
}

/// What is spoken. P-256 beside X25519 is for old libraries; AES of 256 bits and SHA-384 would be code without a client.
fn provider() -> CryptoProvider {
    let chacha = [
        TLS13_CHACHA20_POLY1305_SHA256,
        TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
        TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
    ];
    let aes =
        [TLS13_AES_128_GCM_SHA256, TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256];
    let cipher_suites: Vec<SupportedCipherSuite> =
        if has_aes() { [aes, chacha].concat() } else { [chacha, aes].concat() };
    CryptoProvider {
        cipher_suites,
        kx_groups: vec![kx_group::X25519, kx_group::SECP256R1],
        signature_verification_algorithms: SIGNATURES,
        secure_random: &System,
        key_provider: &System,
    }
}

/// The processor has instructions for AES. Without, ChaCha20 is several times as fast: 32-bit boards, and a Raspberry Pi 3 or 4.
fn has_aes() -> bool {
    #[cfg(target_arch = "x86_64")]
    return std::arch::is_x86_feature_detected!("aes");
    #[cfg(target_arch = "aarch64")]
    return std::arch::is_aarch64_feature_detected!("aes");
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    false
}

/// The system's randomness, and ring's keys.
#[derive(Debug)]
struct System;

impl SecureRandom for System {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), GetRandomFailed> {
        getrandom::fill(bytes).map_err(|_| GetRandomFailed)
    }
}

impl KeyProvider for System {
    fn load_private_key(&self, key: PrivateKeyDer<'static>) -> Result<Arc<dyn SigningKey>, Error> {
        sign::any_supported_type(&key)
    }
}

/// A connection that somebody made to us.
pub(super) fn accept(keys: &Arc<ServerConfig>) -> Option<Records> {
    UnbufferedServerConnection::new(keys.clone()).ok().map(Records::Accepted)
}

/// Whom we believe who they are: the public authorities, as Mozilla has them, and those of a PEM file besides, of whom it also says how
/// many there are.
///
/// # Errors
///
/// What is wrong with the file, as a line ends that begins with its path.
pub(super) fn believe(more: &[u8]) -> Result<(Arc<ClientConfig>, usize), &'static str> {
    let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    let public = roots.len();
    for certificate in CertificateDer::pem_slice_iter(more) {
        let certificate = certificate.map_err(|_| "is not PEM, or is cut off")?;
        roots.add(certificate).map_err(|_| "holds a certificate that cannot be read")?;
    }
    let count = roots.len() - public;
    if count == 0 && !more.is_empty() {
        return Err("holds no certificate (-----BEGIN CERTIFICATE-----)");
    }
    let config = ClientConfig::builder_with_provider(Arc::new(provider()))
        .with_safe_default_protocol_versions()
        .map_err(|_| "cannot be used")?;
    let mut config = config.with_root_certificates(roots).with_no_client_auth();
    // To resume a session would take memory for each far end.
    config.resumption = Resumption::disabled();
    Ok((Arc::new(config), count))
}

/// A connection that we make to a host of that name, or at that address, by which its certificate is judged. `None` when no certificate
/// can have that.
pub(super) fn dial(believed: &Arc<ClientConfig>, host: &str) -> Option<Records> {
    let host = ServerName::try_from(host).ok()?.to_owned();
    UnbufferedClientConnection::new(believed.clone(), host).ok().map(Records::Dialled)
}

/// Takes all whole records of the input, and writes what there is to answer.
pub(super) fn advance(
    records: &mut Records,
    input: &mut CipherInput,
    output: &mut CipherOutput,
    sink: &mut PlainSink<'_>,
) -> Result<TlsProgress, TlsFault> {
    let mut ended = false;
    loop {
        let (discard, progress) = match records {
            Records::Accepted(server) => step(server.process_tls_records(input.cipher()), output, sink, &mut ended)?,
            Records::Dialled(client) => step(client.process_tls_records(input.cipher()), output, sink, &mut ended)?,
        };
        input.discard(discard);
        if let Some(progress) = progress {
            return Ok(progress);
        }
    }
}

/// One step of either side: how many bytes of the input were taken, and how far it is when there are no more steps.
fn step<Side>(
    status: UnbufferedStatus<'_, '_, Side>,
    output: &mut CipherOutput,
    sink: &mut PlainSink<'_>,
    ended: &mut bool,
) -> Result<(usize, Option<TlsProgress>), TlsFault> {
    let UnbufferedStatus { mut discard, state } = status;
    let progress = match state {
        Ok(ConnectionState::ReadTraffic(mut traffic)) => {
            while let Some(Ok(record)) = traffic.next_record() {
                sink.put(record.payload);
                discard += record.discard;
            }
            None
        }
        Ok(ConnectionState::EncodeTlsData(mut data)) => {
            let written = data.encode(output.room()).map_err(|_| TlsFault::Protocol)?;
            output.add(written);
            None
        }
        Ok(ConnectionState::TransmitTlsData(data)) => {
            data.done();
            None
        }
        Ok(ConnectionState::PeerClosed) => {
            *ended = true;
            None
        }
        Ok(ConnectionState::BlockedHandshake) => Some(TlsProgress::Shaking),
        Ok(ConnectionState::WriteTraffic(_)) if *ended => Some(TlsProgress::Ended),
        Ok(ConnectionState::WriteTraffic(_)) => Some(TlsProgress::Open),
        Ok(ConnectionState::Closed) => Some(TlsProgress::Ended),
        // Of early data none is accepted.
        Ok(_) => return Err(TlsFault::Protocol),
        // It is not asked for its alert: it would look at what came once more, which it holds against its caller.
        Err(error) => return Err(what(&error)),
    };
    Ok((discard, progress))
}

/// Encrypts what is said behind what waits in the output. False when that cannot be.
pub(super) fn say(records: &mut Records, input: &mut CipherInput, output: &mut CipherOutput, said: &Said<'_>) -> bool {
    loop {
        // All records were taken, so what the input holds is none; what is said before is an answer of rustls' own.
        let is_said = match records {
            Records::Accepted(server) => say_step(server.process_tls_records(input.cipher()), output, said),
            Records::Dialled(client) => say_step(client.process_tls_records(input.cipher()), output, said),
        };
        if let Some(is_said) = is_said {
            return is_said;
        }
    }
}

/// One step of that: whether it is said, if there are no more.
fn say_step<Side>(status: UnbufferedStatus<'_, '_, Side>, output: &mut CipherOutput, said: &Said<'_>) -> Option<bool> {
    match status.state {
        Ok(ConnectionState::WriteTraffic(mut traffic)) => {
            let written = match said {
                Said::Plain(plain) => traffic.encrypt(plain, output.room()),
                Said::Close => traffic.queue_close_notify(output.room()),
            };
            output.add(*written.as_ref().unwrap_or(&0));
            Some(written.is_ok())
        }
        Ok(ConnectionState::EncodeTlsData(mut data)) => match data.encode(output.room()) {
            Ok(written) => {
                output.add(written);
                None
            }
            Err(_) => Some(false),
        },
        Ok(ConnectionState::TransmitTlsData(data)) => {
            data.done();
            None
        }
        _ => Some(false),
    }
}

/// Whose fault an error is, for the log.
fn what(error: &Error) -> TlsFault {
    use AlertDescription as Alert;
    match error {
        Error::AlertReceived(
            Alert::UnknownCA
            | Alert::BadCertificate
            | Alert::CertificateUnknown
            | Alert::CertificateExpired
            | Alert::UnsupportedCertificate,
        ) => TlsFault::Untrusted,
        Error::AlertReceived(_) => TlsFault::Refused,
        Error::PeerIncompatible(_) => TlsFault::Incompatible,
        Error::InvalidCertificate(error) => TlsFault::Certificate(match error {
            // Whoever has only the name of one who is believed is nobody either.
            CertificateError::UnknownIssuer | CertificateError::BadSignature => CertificateFault::Issuer,
            CertificateError::Expired
            | CertificateError::ExpiredContext { .. }
            | CertificateError::NotValidYet
            | CertificateError::NotValidYetContext { .. } => CertificateFault::Time,
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                CertificateFault::Name
            }
            _ => CertificateFault::Other,
        }),
        _ => TlsFault::Protocol,
    }
}
