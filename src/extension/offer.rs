//! The grammar of Sec-WebSocket-Extensions.
//!
//! Parses offers in one pass, without recursion and with a bound on their number. It knows no
//! extension: which offer is taken, and what it does to frames, is its own file's.
//!
//! RFC 6455, section 9.1.

use std::borrow::Cow;

use crate::error::HandshakeError;

/// An extension with its parameters, as a client offers it or a server accepts it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ExtensionOffer {
    /// The registered name, such as `permessage-deflate`.
    pub name: String,
    /// The parameters in order, with or without a value.
    pub params: Vec<(String, Option<String>)>,
}

/// Parses the values of all Sec-WebSocket-Extensions lines, in order of preference.
///
/// ```text
/// extension-list = 1#extension
/// extension = extension-token *( ";" extension-param )
/// extension-param = token [ "=" (token | quoted-string) ]
///   ;When using the quoted-string syntax variant, the value
///   ;after quoted-string unescaping MUST conform to the
///   ;'token' ABNF.
/// ```
pub(crate) fn parse_offers<'a>(
    values: impl IntoIterator<Item = &'a [u8]>,
) -> Result<Vec<ExtensionOffer>, HandshakeError> {
    let mut offers: Vec<ExtensionOffer> = Vec::new();
    read_offers(values, |piece| match (piece, offers.last_mut()) {
        (Piece::Name(name), _) => offers.push(ExtensionOffer {
            name: text(name),
            params: Vec::new(),
        }),
        (Piece::Param(name, value), Some(offer)) => {
            let value = value.as_deref().map(text);
            offer.params.push((text(name), value));
        }
        (Piece::Param(..), None) => debug_assert!(false, "a parameter follows a name"),
    })?;
    Ok(offers)
}

/// Judges the values of all Sec-WebSocket-Extensions lines by their grammar, and keeps nothing.
pub(crate) fn judge_offers<'a>(
    values: impl IntoIterator<Item = &'a [u8]>,
) -> Result<(), HandshakeError> {
    read_offers(values, |_| {})
}

/// What an offer consists of, in order: tokens, which are ASCII.
enum Piece<'a> {
    Name(&'a [u8]),
    Param(&'a [u8], Option<Cow<'a, [u8]>>),
}

fn text(token: &[u8]) -> String {
    token.iter().copied().map(char::from).collect()
}

fn read_offers<'a>(
    values: impl IntoIterator<Item = &'a [u8]>,
    mut take: impl FnMut(Piece<'a>),
) -> Result<(), HandshakeError> {
    let mut count = 0;
    for value in values {
        let mut cursor = Cursor { rest: value };
        loop {
            // RFC 9110, section 5.6.1: empty elements of a list do not count.
            while cursor.eat(b',') {}
            if cursor.is_at_end() {
                break;
            }
            if count == MAX_OFFERS {
                return Err(HandshakeError::ExtensionsInvalid);
            }
            count += 1;
            cursor.offer(&mut take)?;
            if !cursor.is_at_end() && !cursor.eat(b',') {
                return Err(HandshakeError::ExtensionsInvalid);
            }
        }
    }
    Ok(())
}

/// What is left of a header value.
struct Cursor<'a> {
    rest: &'a [u8],
}

impl<'a> Cursor<'a> {
    fn offer(&mut self, take: &mut impl FnMut(Piece<'a>)) -> Result<(), HandshakeError> {
        take(Piece::Name(self.token()?));
        while self.eat(b';') {
            let param = self.token()?;
            let value = if self.eat(b'=') {
                Some(self.value()?)
            } else {
                None
            };
            take(Piece::Param(param, value));
        }
        Ok(())
    }

    fn value(&mut self) -> Result<Cow<'a, [u8]>, HandshakeError> {
        if !self.eat(b'"') {
            return self.token().map(Cow::Borrowed);
        }
        let mut value = Vec::new();
        loop {
            let byte = match self.next() {
                Some(b'"') => break,
                Some(b'\\') => self.next(),
                byte => byte,
            };
            match byte {
                Some(byte) if is_token_byte(byte) => value.push(byte),
                Some(_) | None => return Err(HandshakeError::ExtensionsInvalid),
            }
        }
        if value.is_empty() {
            return Err(HandshakeError::ExtensionsInvalid);
        }
        Ok(Cow::Owned(value))
    }

    fn token(&mut self) -> Result<&'a [u8], HandshakeError> {
        self.skip_space();
        let len = self
            .rest
            .iter()
            .position(|&byte| !is_token_byte(byte))
            .unwrap_or(self.rest.len());
        let (token, rest) = self.rest.split_at(len);
        self.rest = rest;
        if token.is_empty() {
            return Err(HandshakeError::ExtensionsInvalid);
        }
        Ok(token)
    }

    /// Takes `byte` and the white space before it, if it is next.
    fn eat(&mut self, byte: u8) -> bool {
        self.skip_space();
        match self.rest.split_first() {
            Some((&first, rest)) if first == byte => {
                self.rest = rest;
                true
            }
            Some(_) | None => false,
        }
    }

    fn is_at_end(&mut self) -> bool {
        self.skip_space();
        self.rest.is_empty()
    }

    fn skip_space(&mut self) {
        while let [b' ' | b'\t', rest @ ..] = self.rest {
            self.rest = rest;
        }
    }

    fn next(&mut self) -> Option<u8> {
        let (&first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(first)
    }
}

/// RFC 9110, section 5.6.2.
const fn is_token_byte(byte: u8) -> bool {
    matches!(byte,
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'!' | b'#' | b'$' | b'%' | b'&' | b'\''
            | b'*' | b'+' | b'-' | b'.' | b'^' | b'_' | b'`' | b'|' | b'~')
}

/// More offers than this are not made by anybody.
const MAX_OFFERS: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(value: &str) -> Option<Vec<ExtensionOffer>> {
        parse_offers([value.as_bytes()]).ok()
    }

    fn offer(name: &str, params: &[(&str, Option<&str>)]) -> ExtensionOffer {
        ExtensionOffer {
            name: name.to_owned(),
            params: params
                .iter()
                .map(|&(name, value)| (name.to_owned(), value.map(str::to_owned)))
                .collect(),
        }
    }

    #[test]
    fn offers_are_parsed_in_order() {
        assert_eq!(
            parse(r#"foo, bar; baz=2 ;qux ; q="1\5",,foo;"#),
            None,
            "a semicolon wants a parameter"
        );
        assert_eq!(
            parse(r#"foo, bar; baz=2 ;qux ; q="1\5",, foo"#),
            Some(vec![
                offer("foo", &[]),
                offer(
                    "bar",
                    &[("baz", Some("2")), ("qux", None), ("q", Some("15"))]
                ),
                offer("foo", &[]),
            ])
        );
        assert_eq!(parse(" , ,"), Some(vec![]));
    }

    #[test]
    fn several_lines_are_one_list() {
        let lines: [&[u8]; 2] = [b"a; x", b"b"];
        assert_eq!(
            parse_offers(lines),
            Ok(vec![offer("a", &[("x", None)]), offer("b", &[])])
        );
    }

    #[test]
    fn what_is_not_the_grammar_is_refused() {
        for value in [
            "a b",
            "a;",
            "a;=1",
            "a;b=",
            "a;b=\"",
            "a;b=\"\"",
            "a;b=\"x",
            "a;b=\"x\\",
            "a;b=\"x y\"",
            "a=1",
            ";a",
            "a;b=c=d",
            "a/b",
            "\"a\"",
        ] {
            assert_eq!(parse(value), None, "{value}");
        }
    }

    #[test]
    fn sixteen_offers_are_enough() {
        assert!(parse(&["a"; 16].join(",")).is_some());
        assert_eq!(parse(&["a"; 17].join(",")), None);
    }
}
