//! A certificate that signs itself, for this machine's names and addresses. A crate for it would bring a writer of ASN.1 and a
//! calendar of its own, for one form that never changes: [`x509`] writes that, and ring signs it.

use base64ct::{Base64, Encoder};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair};

use crate::net::addresses;
use crate::wire::x509;

/// The name that a board has in its local network.
const NAME: &str = "rill.local";
/// More addresses are left out.
const ADDRESSES: usize = 16;

/// Makes a key, and a certificate of it for `rill.local`, `localhost` and the addresses that this machine has now: the certificate and
/// the key, both as PEM.
///
/// # Errors
///
/// The system gives no random bytes.
pub(super) fn make() -> Result<[String; 2], String> {
    let failed = |_| "the system gives no random bytes".to_owned();
    let random = SystemRandom::new();
    let document = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &random).map_err(failed)?;
    let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, document.as_ref(), &random)
        .map_err(|error| error.to_string())?;
    let mut serial = [0; 8];
    getrandom::fill(&mut serial).map_err(|error| error.to_string())?;
    let addresses: Vec<_> = addresses::all().into_iter().take(ADDRESSES).collect();
    let too_long = |_| "the certificate is too long".to_owned();
    let body = x509::body(pair.public_key().as_ref(), serial, &[NAME, "localhost"], &addresses).map_err(too_long)?;
    let signature = pair.sign(&random, &body).map_err(failed)?;
    let certificate = x509::signed(&body, signature.as_ref()).map_err(too_long)?;
    Ok([pem("CERTIFICATE", &certificate), pem("PRIVATE KEY", document.as_ref())])
}

/// As text (RFC 7468).
fn pem(label: &str, der: &[u8]) -> String {
    // Lines of 64 characters, as the standard wants them.
    let mut buffer = vec![0; der.len() * 2 + 64];
    let text = Encoder::<Base64>::new_wrapped(&mut buffer, 64, base64ct::LineEnding::LF)
        .and_then(|mut encoder| encoder.encode(der).and_then(|()| encoder.finish()))
        .unwrap_or_default();
    format!("-----BEGIN {label}-----\n{text}\n-----END {label}-----\n")
}

#[cfg(test)]
mod tests {
    use base64ct::Encoding as _;

    use super::*;
    use crate::config::TlsPlaces;
    use crate::net::tls::{TlsFiles, TlsIdentity, TlsOffer};

    #[test]
    fn what_is_made_is_taken_and_counts_till_2049() {
        let [certificate, key] = make().unwrap();
        let identity = TlsIdentity::new(certificate.as_bytes(), key.as_bytes()).unwrap();
        assert_eq!(identity.valid_s, (1_577_836_800, 2_524_607_999));
        let [_, other] = make().unwrap();
        let wrong = TlsIdentity::new(certificate.as_bytes(), other.as_bytes()).err().unwrap();
        assert_eq!(wrong, (true, "is not the key of the certificate"));
        for (cut, words) in
            [(0, "holds no certificate (-----BEGIN CERTIFICATE-----)"), (100, "is not PEM, or is cut off")]
        {
            let wrong = TlsIdentity::new(&certificate.as_bytes()[..cut], key.as_bytes()).err().unwrap();
            assert_eq!(wrong, (false, words));
        }
    }

    #[test]
    fn a_certificate_that_is_over_is_taken_only_when_the_one_before_is_over_too() {
        let directory = std::env::temp_dir().join(format!("rill-certificate-{}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        let [place, key_place] = ["certificate.pem", "key.pem"].map(|name| directory.join(name));
        let [certificate, key] = make().unwrap();
        let write = |certificate: &str| {
            std::fs::write(&place, certificate).unwrap();
            std::fs::write(&key_place, &key).unwrap();
        };
        // What it signs nobody looks at here, so a part of it can be another.
        let until_2021 = {
            let text: String = certificate.lines().filter(|line| !line.starts_with('-')).collect();
            let mut der = vec![0; text.len()];
            let mut der = Base64::decode(&text, &mut der).unwrap().to_vec();
            let at = der.windows(6).position(|part| part == b"491231").unwrap();
            der[at..at + 2].copy_from_slice(b"21");
            pem("CERTIFICATE", &der)
        };
        write(&certificate);
        let places =
            TlsPlaces { certificate: Some(place.clone()), key: Some(key_place.clone()), ..TlsPlaces::default() };
        let mut files = TlsFiles::open(&places, TlsOffer::default()).unwrap().unwrap();
        let (till_2021, till_2049) = (1_640_995_199, 2_524_607_999);
        assert_eq!(files.shown_s().1, till_2049);
        write(&until_2021);
        let in_2026 = Some(1_795_853_362);
        files.read_again(in_2026);
        assert_eq!(files.shown_s().1, till_2049, "it counts, and the new one does not");
        files.read_again(None);
        assert_eq!(files.shown_s().1, till_2021, "without a clock nobody can tell");
        write(&certificate);
        files.read_again(Some(till_2049 + 1));
        assert_eq!(files.shown_s().1, till_2049, "neither counts");
        write(&certificate[..certificate.len() / 2]);
        files.read_again(in_2026);
        assert_eq!(files.shown_s().1, till_2049, "half of one is none");
        std::fs::remove_dir_all(&directory).unwrap();
    }
}
