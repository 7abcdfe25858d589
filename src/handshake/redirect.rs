//! Where a redirect leads, and what of a request goes along.
//!
//! Follows one step. How many are followed is for the adapters to say; nothing is connected here.
//!
//! RFC 3986, section 5; RFC 9110, sections 10.2.2 and 15.4.

use super::request::ClientRequest;
use super::uri::{Uri, judge_characters};
use crate::error::{HandshakeError, RefusedResponse, SendError};

impl ClientRequest {
    /// Returns the request that follows a redirect; `None` where the answer is none: a status other
    /// than 301, 302, 303, 307 and 308, or no Location.
    ///
    /// The new request offers the same subprotocols and extensions. Header lines go along too, to
    /// another origin (scheme, host or port) without those that prove who asks: Authorization,
    /// Cookie, Proxy-Authorization, and each whose name holds `auth`, `cookie`, `token`, `session`,
    /// `secret`, `credential`, `passw`, `api-key` or `apikey`. A token that stands elsewhere, as in
    /// a subprotocol, is not known for one.
    ///
    /// How often a client follows is its caller's to bound:
    /// [`TooManyRedirects`](HandshakeError::TooManyRedirects) is for saying so.
    ///
    /// # Errors
    ///
    /// [`LocationInvalid`](HandshakeError::LocationInvalid), and
    /// [`RedirectInsecure`](HandshakeError::RedirectInsecure) from `wss` to `ws`.
    ///
    /// ```
    /// use framewright::HandshakeError;
    /// use framewright::handshake::ClientRequest;
    ///
    /// /// What to ask next, after a request that failed.
    /// fn next(
    ///     request: &ClientRequest,
    ///     error: HandshakeError,
    /// ) -> Result<ClientRequest, HandshakeError> {
    ///     if let HandshakeError::Refused(refused) = &error
    ///         && let Some(next) = request.redirected(refused)?
    ///     {
    ///         return Ok(next);
    ///     }
    ///     Err(error)
    /// }
    /// ```
    pub fn redirected(&self, refused: &RefusedResponse) -> Result<Option<Self>, HandshakeError> {
        // RFC 9110, section 15.4: 300 leaves the choice to somebody, 304 is for caches, 305 and 306
        // are history.
        let is_redirect = matches!(refused.status, 301 | 302 | 303 | 307 | 308);
        if !is_redirect || refused.header("location").is_none() {
            return Ok(None);
        }
        let uri = refused
            .location()
            .and_then(|location| self.uri().join(location).ok())
            .ok_or(HandshakeError::LocationInvalid)?;
        if self.uri().is_secure() && !uri.is_secure() {
            return Err(HandshakeError::RedirectInsecure);
        }
        let is_same_origin = self.uri().is_same_origin(&uri);
        let next = self.with_uri(uri, |line| is_same_origin || !line.is_credential());
        Ok(Some(next))
    }
}

impl Uri {
    /// Resolves a reference against this URI, as a Location is.
    ///
    /// `http:` and `https:` count as `ws:` and `wss:`, because a server that redirects need not
    /// know why it was asked.
    ///
    /// # Errors
    ///
    /// What section 3 of RFC 6455 does not allow of a URI, a fragment among it.
    ///
    /// ```
    /// use framewright::handshake::Uri;
    ///
    /// let uri: Uri = "wss://example.com/chat/old?room=1".parse()?;
    /// assert_eq!(uri.join("../talk")?.to_string(), "wss://example.com/talk");
    /// assert_eq!(uri.join("//b.example:8443")?.to_string(), "wss://b.example:8443/");
    /// assert_eq!(uri.join("https://b.example/x")?.to_string(), "wss://b.example/x");
    /// # Ok::<(), framewright::SendError>(())
    /// ```
    pub fn join(&self, reference: &str) -> Result<Self, SendError> {
        judge_characters(reference)?;
        if reference.contains('#') {
            return Err(SendError::UriFragment);
        }
        // 4.2: "a relative-path reference that contains a colon character [...] cannot be used as
        // the first segment", so a colon there ends a scheme.
        let scheme_len = reference
            .find([':', '/', '?'])
            .filter(|&end| reference[end..].starts_with(':'));
        let (secure, rest) = match scheme_len {
            None => (self.is_secure(), reference),
            Some(len) => (is_secure(&reference[..len])?, &reference[len + 1..]),
        };
        if let Some(rest) = rest.strip_prefix("//") {
            let uri = Self::parse_rest(secure, rest)?;
            let (path, query) = split_query(uri.resource_name());
            let resource_name = with_query(remove_dot_segments(path), query);
            return Ok(uri.with_resource_name(resource_name));
        }
        if scheme_len.is_some() {
            return Err(SendError::UriHostInvalid);
        }
        // 5.2.2, for a reference without scheme and authority.
        let (own_path, own_query) = split_query(self.resource_name());
        let (path, query) = split_query(rest);
        let resource_name = if path.is_empty() {
            with_query(own_path.to_owned(), query.or(own_query))
        } else if path.starts_with('/') {
            with_query(remove_dot_segments(path), query)
        } else {
            // 5.2.3: "excluding any characters after the right-most "/" in the base URI path".
            let directory = own_path.rfind('/').map_or("", |slash| &own_path[..slash]);
            with_query(remove_dot_segments(&format!("{directory}/{path}")), query)
        };
        Ok(self.clone().with_resource_name(resource_name))
    }

    /// Whether scheme, host and port are the same (RFC 6454, section 5).
    pub(super) fn is_same_origin(&self, other: &Self) -> bool {
        (self.is_secure(), self.host(), self.port())
            == (other.is_secure(), other.host(), other.port())
    }
}

fn is_secure(scheme: &str) -> Result<bool, SendError> {
    match scheme.to_ascii_lowercase().as_str() {
        "ws" | "http" => Ok(false),
        "wss" | "https" => Ok(true),
        _ => Err(SendError::UriSchemeUnsupported),
    }
}

fn split_query(resource: &str) -> (&str, Option<&str>) {
    match resource.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (resource, None),
    }
}

fn with_query(mut path: String, query: Option<&str>) -> String {
    if let Some(query) = query {
        path.push('?');
        path.push_str(query);
    }
    path
}

/// 5.2.4, for a path that begins with a slash.
fn remove_dot_segments(path: &str) -> String {
    let mut segments = Vec::new();
    for segment in path.split('/').skip(1) {
        match segment {
            "." => {}
            ".." => drop(segments.pop()),
            _ => segments.push(segment),
        }
    }
    // What a dot segment at the end leaves is a directory.
    if path.ends_with("/.") || path.ends_with("/..") {
        segments.push("");
    }
    format!("/{}", segments.join("/"))
}
