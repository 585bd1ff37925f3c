//! A build without TLS makes no certificates.

/// Says that this build cannot.
///
/// # Errors
///
/// Always.
pub(super) fn make() -> Result<[String; 2], String> {
    Err("this build has no TLS".to_owned())
}
