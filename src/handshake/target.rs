//! The target of a request, and the host that it was sent to.
//!
//! Takes the forms apart in which a request names what it wants. Whether that is served is not
//! known here.
//!
//! RFC 9112, section 3.2.

use super::authority::Authority;
use super::head::{RequestHead, Text, Version};
use super::headers::Field;
use crate::error::HandshakeError;

/// Returns the host that a request was sent to.
///
/// RFC 9112, section 3.2: "A server MUST respond with a 400 (Bad Request) status code to any
/// HTTP/1.1 request message that lacks a Host header field and to any request message that
/// contains more than one Host header field line or a Host header field with an invalid field
/// value."
pub(super) fn host_of(head: &RequestHead) -> Result<Text, HandshakeError> {
    match head.version {
        Version::Http11 => {}
        Version::Http10 if head.headers().of(Field::Host).next().is_some() => {}
        Version::Http10 => return Ok(head.note(b"")),
        // RFC 9113, section 8.3.1: it has a pseudo-header of its own.
        #[cfg(feature = "http")]
        Version::Later => return Ok(head.note(b"")),
    }
    let host = head
        .headers()
        .of(Field::Host)
        .single()
        .filter(|host| Authority::parse(host).is_some())
        .ok_or(HandshakeError::HostInvalid)?;
    if head.has_origin_form() {
        return Ok(head.note(host));
    }
    // RFC 9112, section 3.2.2: the host of a target in absolute form takes the place of Host.
    match split_absolute(head.target()) {
        None => Ok(head.note(host)),
        Some((authority, _)) if Authority::parse(authority.as_bytes()).is_some() => {
            Ok(head.note(authority.as_bytes()))
        }
        Some(_) => Err(HandshakeError::HostInvalid),
    }
}

/// Returns the path and query of a request target in origin or absolute form.
pub(super) fn resource_name_of(head: &RequestHead) -> Option<Text> {
    if head.target_bytes().contains(&b'#') {
        return None;
    }
    if head.has_origin_form() {
        return Some(head.note(head.target_bytes()));
    }
    let (_, resource) = split_absolute(head.target())?;
    Some(if resource.starts_with('/') {
        head.note(resource.as_bytes())
    } else {
        // 3: "if the path component is empty", it is "/".
        Text::Own(format!("/{resource}"))
    })
}

/// Splits a request target in absolute form where its authority ends.
fn split_absolute(target: &str) -> Option<(&str, &str)> {
    let (scheme, rest) = target.split_once("://")?;
    let is_http = scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https");
    is_http.then(|| rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len())))
}
