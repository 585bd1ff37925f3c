//! A build without TLS: no certificate can be had, so no connection is ever secured.

pub(super) use std::convert::Infallible as ServerKeys;
pub(super) use std::convert::Infallible as Believed;
pub(super) use std::convert::Infallible as Records;
use std::sync::Arc;

use crate::server::close::TlsFault;

use super::buffers::{CipherInput, CipherOutput, PlainSink, Said, TlsProgress};

#[expect(clippy::type_complexity, reason = "it is the other one's")]
pub(super) fn read(_: &[u8], _: &[u8]) -> Result<(Arc<ServerKeys>, (u64, u64)), (bool, &'static str)> {
    Err((false, "is of no use: this build has no TLS"))
}

pub(super) fn believe(_: &[u8]) -> Result<(Arc<Believed>, usize), &'static str> {
    Err("is of no use: this build has no TLS")
}

pub(super) fn dial(believed: &Arc<Believed>, _: &str) -> Option<Records> {
    match **believed {}
}

pub(super) fn accept(keys: &Arc<ServerKeys>) -> Option<Records> {
    match **keys {}
}

pub(super) fn advance(
    records: &mut Records,
    _: &mut CipherInput,
    _: &mut CipherOutput,
    _: &mut PlainSink<'_>,
) -> Result<TlsProgress, TlsFault> {
    match *records {}
}

pub(super) fn say(records: &mut Records, _: &mut CipherInput, _: &mut CipherOutput, _: &Said<'_>) -> bool {
    match *records {}
}
