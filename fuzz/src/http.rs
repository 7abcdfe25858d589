//! The rules of the opening handshake once more, naively.
//!
//! Heads are split at their line ends and judged item by item, from the words of RFC 6455, section
//! 4, RFC 9112 and RFC 7692. Where more than one answer is right, the verdict says so.

/// Whether something must be accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    Legal,
    Illegal,
    /// Up to the implementation.
    Either,
}

/// A head, taken apart.
#[derive(Debug)]
pub struct Head<'a> {
    pub first: &'a [u8],
    pub lines: Vec<(&'a str, &'a [u8])>,
}

/// Returns the length of the head at the front of `bytes`, an empty line before it counted.
pub fn head_len(bytes: &[u8]) -> Option<usize> {
    let skipped = if bytes.starts_with(b"\r\n") { 2 } else { 0 };
    let end = bytes[skipped..]
        .windows(4)
        .position(|four| four == b"\r\n\r\n")?;
    Some(skipped + end + 4)
}

impl<'a> Head<'a> {
    /// Takes a head apart that ends with an empty line; `None` if a line is malformed.
    pub fn parse(head: &'a [u8]) -> Option<Self> {
        let head = head.strip_suffix(b"\r\n\r\n")?;
        let mut lines = split_lines(head);
        let first = lines.next()?;
        let lines = lines
            .map(|line| {
                let colon = line.iter().position(|byte| *byte == b':')?;
                let name = std::str::from_utf8(&line[..colon]).ok()?;
                let is_value = line[colon..].iter().all(|byte| is_text(*byte));
                (is_token(name.as_bytes()) && is_value).then(|| (name, trim(&line[colon + 1..])))
            })
            .collect::<Option<_>>()?;
        Some(Self { first, lines })
    }

    pub fn values(&self, name: &str) -> Vec<&'a [u8]> {
        let lines = self.lines.iter();
        lines
            .filter(|(other, _)| other.eq_ignore_ascii_case(name))
            .map(|(_, value)| *value)
            .collect()
    }

    /// Returns the value of a header that stands there exactly once.
    pub fn single(&self, name: &str) -> Option<&'a [u8]> {
        match self.values(name)[..] {
            [value] => Some(value),
            _ => None,
        }
    }

    /// Returns the elements of a list over all its lines (RFC 9110, section 5.6.1).
    pub fn list(&self, name: &str) -> Vec<&'a [u8]> {
        let values = self.values(name).into_iter();
        values
            .flat_map(|value| value.split(|byte| *byte == b','))
            .map(trim)
            .filter(|element| !element.is_empty())
            .collect()
    }

    pub fn has_token(&self, name: &str, token: &[u8]) -> bool {
        let list = self.list(name);
        list.iter()
            .any(|element| element.eq_ignore_ascii_case(token))
    }
}

/// What a head asks a server for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asks {
    Upgrade,
    /// Something else, which is no error.
    Plain,
}

/// Judges a request by section 4.2.1, without limits.
pub fn judge_request(head: &[u8]) -> (Asks, Verdict) {
    let nothing = (Asks::Plain, Verdict::Illegal);
    let head = head.strip_prefix(b"\r\n").unwrap_or(head);
    let Some(head) = Head::parse(head) else {
        return nothing;
    };
    let Ok(first) = std::str::from_utf8(head.first) else {
        return nothing;
    };
    let parts: Vec<&str> = first.split(' ').collect();
    let &[method, target, version] = &parts[..] else {
        return nothing;
    };
    let is_target = !target.is_empty() && target.bytes().all(|byte| byte.is_ascii_graphic());
    if !is_token(method.as_bytes()) || !is_target {
        return nothing;
    }
    let asks = match version {
        "HTTP/1.1" if head.has_token("upgrade", b"websocket") => Asks::Upgrade,
        "HTTP/1.1" | "HTTP/1.0" => Asks::Plain,
        _ => return nothing,
    };
    let mut verdict = match (head.single("host"), version) {
        (None, "HTTP/1.0") if head.values("host").is_empty() => Verdict::Legal,
        (None, _) => return (asks, Verdict::Illegal),
        (Some(host), _) => judge_host(host),
    };
    // The parser may know fewer targets than there are graphic characters.
    if target.bytes().any(|byte| b"\"<>\\^`{|}".contains(&byte)) || target.contains("://") {
        verdict = worse(verdict, Verdict::Either);
    }
    if asks == Asks::Plain {
        return (asks, verdict);
    }
    let is_legal = method == "GET"
        && (target.starts_with('/') || target.contains("://"))
        && !target.contains('#')
        // RFC 9112, section 3.2.2: the host of a target in absolute form takes the place of Host.
        && (target.contains("://") || head.single("host").is_some_and(names_a_host))
        && head.has_token("connection", b"upgrade")
        && head.single("sec-websocket-key").is_some_and(is_key)
        && head.single("sec-websocket-version") == Some(b"13")
        && head.values("transfer-encoding").is_empty()
        && head.values("content-length").iter().all(|len| *len == b"0")
        && are_subprotocols(&head.list("sec-websocket-protocol"))
        && parse_extensions(&head.values("sec-websocket-extensions")).is_some();
    let rest = if is_legal {
        Verdict::Legal
    } else {
        Verdict::Illegal
    };
    (asks, worse(verdict, rest))
}

/// Judges a 101 by section 4.1, but for its extensions.
pub fn judge_switch(head: &[u8], accept: &[u8], subprotocols: &[&str]) -> bool {
    let Some(head) = Head::parse(head) else {
        return false;
    };
    let subprotocol = match head.values("sec-websocket-protocol")[..] {
        [] => true,
        [value] => subprotocols
            .iter()
            .any(|offered| offered.as_bytes() == value),
        _ => false,
    };
    let is_status = match head.first.strip_prefix(b"HTTP/1.1 101") {
        Some([]) => true,
        Some([b' ', reason @ ..]) => reason.iter().all(|byte| is_text(*byte)),
        Some(_) | None => false,
    };
    is_status
        && head
            .single("upgrade")
            .is_some_and(|value| value.eq_ignore_ascii_case(b"websocket"))
        && head.has_token("connection", b"upgrade")
        && head.single("sec-websocket-accept") == Some(accept)
        && subprotocol
}

/// An extension: its name, and its parameters with or without values.
pub type Extension = (String, Vec<(String, Option<String>)>);

/// Parses the lines of Sec-WebSocket-Extensions by section 9.1: no character that is special may
/// stand in a value, quoted or not, so that they can be split at those.
pub fn parse_extensions(lines: &[&[u8]]) -> Option<Vec<Extension>> {
    let mut extensions = Vec::new();
    for line in lines {
        for element in line.split(|byte| *byte == b',').map(trim) {
            if element.is_empty() {
                continue;
            }
            let mut parts = element.split(|byte| *byte == b';').map(trim);
            let name = token(parts.next()?)?;
            let params = parts.map(parse_param).collect::<Option<_>>()?;
            extensions.push((name, params));
        }
    }
    (extensions.len() <= 16).then_some(extensions)
}

fn parse_param(param: &[u8]) -> Option<(String, Option<String>)> {
    let Some(equals) = param.iter().position(|byte| *byte == b'=') else {
        return Some((token(param)?, None));
    };
    let name = token(trim(&param[..equals]))?;
    let value = trim(&param[equals + 1..]);
    let Some(quoted) = value.strip_prefix(b"\"") else {
        return Some((name, Some(token(value)?)));
    };
    let mut unescaped = Vec::new();
    let mut bytes = quoted.iter();
    loop {
        match bytes.next()? {
            b'"' => break,
            b'\\' => unescaped.push(*bytes.next()?),
            byte => unescaped.push(*byte),
        }
    }
    (bytes.next().is_none()).then_some((name, Some(token(&unescaped)?)))
}

/// Parameters of permessage-deflate, as section 7.1 of RFC 7692 allows them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Deflate {
    pub server_no_context_takeover: bool,
    pub client_no_context_takeover: bool,
    pub server_max_window_bits: Option<u8>,
    /// Zero stands for the parameter without a value.
    pub client_max_window_bits: Option<u8>,
}

/// Reads an extension as permessage-deflate; `None` if it is another, or must be declined.
pub fn deflate_of((name, params): &Extension) -> Option<Deflate> {
    let mut deflate = Deflate::default();
    if !name.eq_ignore_ascii_case("permessage-deflate") {
        return None;
    }
    let names = params.iter().map(|(name, _)| name.to_ascii_lowercase());
    let names: Vec<String> = names.collect();
    for (index, (name, (_, value))) in names.iter().zip(params).enumerate() {
        // 7.1: "multiple parameters with the same name"
        if names[..index].contains(name) {
            return None;
        }
        let bits = match value.as_deref() {
            None => None,
            Some("8") => Some(8),
            Some("9") => Some(9),
            Some("10") => Some(10),
            Some("11") => Some(11),
            Some("12") => Some(12),
            Some("13") => Some(13),
            Some("14") => Some(14),
            Some("15") => Some(15),
            Some(_) => return None,
        };
        match (name.as_str(), bits) {
            ("server_no_context_takeover", None) => deflate.server_no_context_takeover = true,
            ("client_no_context_takeover", None) => deflate.client_no_context_takeover = true,
            ("server_max_window_bits", Some(_)) => deflate.server_max_window_bits = bits,
            ("client_max_window_bits", _) => {
                deflate.client_max_window_bits = Some(bits.unwrap_or(0));
            }
            _ => return None,
        }
    }
    Some(deflate)
}

impl Deflate {
    /// Whether a server may answer this offer with `answer` (7.1.1 and 7.1.2).
    pub fn may_be_answered_with(&self, answer: &Self) -> bool {
        let server_bits = self.server_max_window_bits.unwrap_or(15);
        let client_bits = match self.client_max_window_bits {
            Some(0) => 15,
            Some(bits) => bits,
            None => 0,
        };
        (answer.server_no_context_takeover || !self.server_no_context_takeover)
            // "with the same or smaller value", and by including it.
            && answer.server_max_window_bits.unwrap_or(15) <= server_bits
            // Only with a value, and only if it was offered.
            && answer.client_max_window_bits.is_none_or(|bits| bits != 0 && bits <= client_bits)
    }
}

/// Asserts that `bytes` are an HTTP answer that a strict reader takes, and returns its status, its
/// head and what is behind it.
pub fn read_answer(bytes: &[u8]) -> (u16, Head<'_>, &[u8]) {
    let mut headers = [httparse::EMPTY_HEADER; 32];
    let mut response = httparse::Response::new(&mut headers);
    let parsed = response.parse(bytes);
    let Ok(httparse::Status::Complete(len)) = parsed else {
        panic!("an answer is HTTP: {parsed:?}, {}", bytes.escape_ascii());
    };
    assert_eq!(response.version, Some(1));
    let (head, body) = bytes.split_at(len);
    assert_eq!(head_len(head), Some(len));
    no_stray_line_ends(head);
    let head = Head::parse(head).expect("an answer is HTTP");
    assert_eq!(head.lines.len(), response.headers.len());
    (response.code.unwrap_or_default(), head, body)
}

/// Asserts that CR and LF stand only at the end of lines, and that there is no NUL.
pub fn no_stray_line_ends(head: &[u8]) {
    for (index, byte) in head.iter().enumerate() {
        match byte {
            b'\r' => assert_eq!(head.get(index + 1), Some(&b'\n')),
            b'\n' => assert!(index > 0 && head[index - 1] == b'\r'),
            byte => assert!(is_text(*byte), "{}", head.escape_ascii()),
        }
    }
}

/// Judges by RFC 9110, section 4.2.1: "A sender MUST NOT generate an "http" URI with an empty host
/// identifier. A recipient that processes such a URI reference MUST reject it as invalid."
fn names_a_host(host: &[u8]) -> bool {
    !matches!(host, [] | [b':', ..])
}

/// Host: names, addresses and ports that everybody accepts, and what nobody may.
fn judge_host(host: &[u8]) -> Verdict {
    let name_len = host
        .iter()
        .position(|byte| *byte == b':')
        .unwrap_or(host.len());
    let (name, port) = host.split_at(name_len);
    let is_name = name
        .iter()
        .all(|byte| byte.is_ascii_alphanumeric() || b"-.".contains(byte));
    let is_port = port.len() <= 5 && port.iter().skip(1).all(u8::is_ascii_digit);
    // RFC 3986, section 3.2: neither may stand in a host and a port.
    let is_illegal = host
        .iter()
        .any(|byte| !byte.is_ascii_graphic() || b"/?#@\\\"<>^`{|}".contains(byte));
    if is_illegal {
        Verdict::Illegal
    } else if is_name && is_port {
        Verdict::Legal
    } else {
        Verdict::Either
    }
}

const fn worse(one: Verdict, other: Verdict) -> Verdict {
    match (one, other) {
        (Verdict::Illegal, _) | (_, Verdict::Illegal) => Verdict::Illegal,
        (Verdict::Either, _) | (_, Verdict::Either) => Verdict::Either,
        (Verdict::Legal, Verdict::Legal) => Verdict::Legal,
    }
}

/// 4.3: `base64-value = 22( base64-character ) "=="`, which is 16 bytes.
fn is_key(key: &[u8]) -> bool {
    let is_base64 = |byte: &u8| byte.is_ascii_alphanumeric() || b"+/".contains(byte);
    key.len() == 24 && key.ends_with(b"==") && key[..22].iter().all(is_base64)
}

/// 4.1 item 10: tokens, each once.
fn are_subprotocols(list: &[&[u8]]) -> bool {
    list.len() <= 64
        && list.iter().all(|one| is_token(one))
        && list
            .iter()
            .enumerate()
            .all(|(index, one)| !list[..index].contains(one))
}

fn split_lines(mut head: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut is_over = false;
    std::iter::from_fn(move || {
        if is_over {
            return None;
        }
        let end = head.windows(2).position(|two| two == b"\r\n");
        let line = &head[..end.unwrap_or(head.len())];
        is_over = end.is_none();
        head = end.map_or(&[], |end| &head[end + 2..]);
        Some(line)
    })
}

/// RFC 9110, section 5.5: what may stand in a value.
const fn is_text(byte: u8) -> bool {
    !matches!(byte, 0..=8 | 10..=31 | 127)
}

fn token(bytes: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(bytes).ok()?;
    is_token(bytes).then(|| text.to_owned())
}

/// RFC 9110, section 5.6.2.
pub fn is_token(bytes: &[u8]) -> bool {
    let is_tchar = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
    !bytes.is_empty() && bytes.iter().all(is_tchar)
}

fn trim(bytes: &[u8]) -> &[u8] {
    let is_space = |byte: &u8| matches!(byte, b' ' | b'\t');
    let start = bytes
        .iter()
        .position(|byte| !is_space(byte))
        .unwrap_or(bytes.len());
    let end = bytes
        .iter()
        .rposition(|byte| !is_space(byte))
        .map_or(start, |last| last + 1);
    &bytes[start..end]
}
