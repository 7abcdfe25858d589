//! The target of a request, and the host that it was sent to.
//!
//! Takes the forms apart in which a request names what it wants. Whether that is served is not known
//! here.
//!
//! RFC 9112, section 3.2.

use std::borrow::Cow;

use super::authority::Authority;
use super::head::{RequestHead, Version};
use super::headers::Field;
use crate::error::HandshakeError;

/// Returns the host that a request was sent to.
///
/// RFC 9112, section 3.2: "A server MUST respond with a 400 (Bad Request) status code to any
/// HTTP/1.1 request message that lacks a Host header field and to any request message that
/// contains more than one Host header field line or a Host header field with an invalid field
/// value."
pub(super) fn host_of(head: &RequestHead) -> Result<&str, HandshakeError> {
    match head.version {
        Version::Http11 => {}
        Version::Http10 if head.headers().of(Field::Host).next().is_some() => {}
        Version::Http10 => return Ok(""),
        // RFC 9113, section 8.3.1: it has a pseudo-header of its own.
        #[cfg(feature = "http")]
        Version::Later => return Ok(""),
    }
    let host = head
        .headers()
        .of(Field::Host)
        .single()
        .and_then(|host| core::str::from_utf8(host).ok())
        .filter(|host| Authority::parse(host).is_some())
        .ok_or(HandshakeError::HostInvalid)?;
    if head.has_origin_form() {
        return Ok(host);
    }
    // RFC 9112, section 3.2.2: the host of a target in absolute form takes the place of Host.
    match split_absolute(head.target()) {
        None => Ok(host),
        Some((authority, _)) if Authority::parse(authority).is_some() => Ok(authority),
        Some(_) => Err(HandshakeError::HostInvalid),
    }
}

/// Returns the path and query of a request target in origin or absolute form.
pub(super) fn resource_name_of(target: &str) -> Option<Cow<'_, str>> {
    if target.contains('#') {
        return None;
    }
    if target.starts_with('/') {
        return Some(target.into());
    }
    let (_, resource) = split_absolute(target)?;
    Some(if resource.starts_with('/') {
        resource.into()
    } else {
        // 3: "if the path component is empty", it is "/".
        format!("/{resource}").into()
    })
}

/// Splits a request target in absolute form where its authority ends.
fn split_absolute(target: &str) -> Option<(&str, &str)> {
    let (scheme, rest) = target.split_once("://")?;
    let is_http = scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https");
    is_http.then(|| rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len())))
}
