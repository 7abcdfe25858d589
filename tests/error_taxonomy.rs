//! The table of all errors in the docs, `src/error/taxonomy.md`, says what the code does.
//!
//! Every variant that the source has is in the table, in the same order, and the other way round;
//! each line agrees with what the methods of an error return, and with what the source cites.

use std::fmt::Debug;
use std::fs;
use std::path::Path;

use framewright::{Fault, HandshakeError, ProtocolError, RefusedResponse, SendError};

/// The variants of the adapters' `Error` that are errors of the core, with tables of their own.
const OF_THE_CORE: [&str; 3] = ["Protocol", "Send", "Handshake"];

/// What says "none" in the table.
const NONE: &str = "–";

#[test]
fn the_table_of_protocol_errors_is_what_the_code_does() {
    let table = Table::of("ProtocolError", "src/error.rs");
    table.assert_agrees_with(&protocol_errors(), |error| Judgement {
        fault: error.fault(),
        is_retryable: false,
        answer: Some(error.close_code().get()),
    });
    assert!(table.rows.iter().all(|row| row.connection == UNCLEAN));
}

#[test]
fn the_table_of_send_errors_is_what_the_code_does() {
    let table = Table::of("SendError", "src/error.rs");
    table.assert_agrees_with(&send_errors(), |error| Judgement {
        fault: error.fault(),
        is_retryable: error.fault() == Fault::Network,
        answer: None,
    });
    assert!(table.rows.iter().all(|row| row.connection == AS_IT_WAS));
}

#[test]
fn the_table_of_handshake_errors_is_what_the_code_does() {
    let table = Table::of("HandshakeError", "src/error.rs");
    table.assert_agrees_with(&handshake_errors(), |error| Judgement {
        fault: error.fault(),
        is_retryable: error.is_retryable(),
        answer: error.status(),
    });
    assert!(table.rows.iter().all(|row| row.connection == NOT_OPENED));
}

#[test]
fn only_the_statuses_that_say_not_now_are_worth_another_attempt() {
    for status in 100..=599 {
        let is_transient = [408, 425, 429, 500, 502, 503, 504].contains(&status);
        for error in [
            HandshakeError::Refused(answer(status)),
            HandshakeError::ProxyRefused(answer(status)),
        ] {
            assert_eq!(error.is_retryable(), is_transient, "{status}");
        }
    }
}

/// What the table says of frames that a peer must not send is what they meet with.
#[cfg(feature = "test-util")]
#[test]
fn illegal_frames_meet_with_what_the_table_says() {
    use framewright::test_util::{Endpoint, Split, illegal_frames};

    let table = Table::of("ProtocolError", "src/error.rs");
    for case in illegal_frames() {
        let mut victim = Endpoint::new(case.connection());
        victim.receive(&case.bytes, Split::Every(1));
        let error = victim.error().expect("frames that are illegal");
        let row = table.row_of(&error);
        let end = victim.end().expect("a connection that has failed");
        let sent = end.sent_code().map(|code| code.get().to_string());
        assert_eq!(sent.as_deref(), Some(&*row.answer), "{}", case.name);
        assert_eq!(row.connection, UNCLEAN);
        assert!(!end.is_clean(), "{}", case.name);
    }
}

/// What the table says of requests that a client must not send is what they are answered with.
#[cfg(feature = "test-util")]
#[test]
fn illegal_requests_are_answered_with_what_the_table_says() {
    use framewright::SendBuffer;
    use framewright::test_util::illegal_requests;

    let table = Table::of("HandshakeError", "src/error.rs");
    for case in illegal_requests() {
        let row = table.row_of(&case.error);
        let mut output = SendBuffer::new();
        case.error.respond(&mut output);
        let answer = format!("HTTP/1.1 {} ", row.answer);
        assert!(
            output.to_vec().starts_with(answer.as_bytes()),
            "{}",
            case.name
        );
    }
}

#[cfg(any(feature = "blocking", feature = "tokio", feature = "futures-io"))]
mod adapters {
    use std::io;

    #[cfg(any(feature = "tokio", feature = "futures-io"))]
    use framewright::asynchronous::Error;
    #[cfg(not(any(feature = "tokio", feature = "futures-io")))]
    use framewright::blocking::Error;
    #[cfg(feature = "rustls")]
    use framewright::tls::TlsError;

    use super::*;

    #[test]
    fn the_table_of_the_adapters_errors_is_what_the_code_does() {
        let mut table = Table::of("Error", "src/adapter/error.rs");
        if cfg!(not(feature = "rustls")) {
            let of_tls = |row: &Row| row.variant == "Tls" || row.variant == "TlsTimeout";
            table.rows.retain(|row| !of_tls(row));
        }
        table.assert_agrees_with(&errors(), |error| Judgement {
            fault: error.fault(),
            is_retryable: error.is_retryable(),
            answer: None,
        });
    }

    #[test]
    fn an_error_of_the_core_is_judged_alike_by_the_adapters() {
        for (_, errors) in protocol_errors() {
            for error in errors {
                let outer = Error::from(error);
                assert_eq!(outer.fault(), error.fault());
                assert!(!outer.is_retryable());
            }
        }
        for (_, errors) in send_errors() {
            for error in errors {
                assert_eq!(Error::from(error).fault(), error.fault());
            }
        }
        for (_, errors) in handshake_errors() {
            for error in errors {
                let (fault, is_retryable) = (error.fault(), error.is_retryable());
                let outer = Error::from(error);
                assert_eq!((outer.fault(), outer.is_retryable()), (fault, is_retryable));
            }
        }
    }

    fn errors() -> Vec<Sample<Error>> {
        let of_kinds = |kinds: &[io::ErrorKind]| -> Vec<Error> {
            kinds
                .iter()
                .map(|kind| io::Error::from(*kind).into())
                .collect()
        };
        let mut samples = vec![
            (
                "`Io` of the kind `WouldBlock`".to_owned(),
                of_kinds(&[io::ErrorKind::WouldBlock]),
            ),
            (
                "`Io` of the kind `InvalidInput`, `PermissionDenied` or `Unsupported`".to_owned(),
                of_kinds(&[
                    io::ErrorKind::InvalidInput,
                    io::ErrorKind::PermissionDenied,
                    io::ErrorKind::Unsupported,
                ]),
            ),
            (
                "`Io` of the kind `InvalidData`".to_owned(),
                of_kinds(&[io::ErrorKind::InvalidData]),
            ),
            (
                "`Io` of any other kind".to_owned(),
                of_kinds(&[
                    io::ErrorKind::ConnectionRefused,
                    io::ErrorKind::ConnectionReset,
                    io::ErrorKind::NotConnected,
                    io::ErrorKind::NotFound,
                    io::ErrorKind::UnexpectedEof,
                    io::ErrorKind::TimedOut,
                    io::ErrorKind::Other,
                ]),
            ),
            sample(Error::WriteTimeout),
            sample(Error::ConnectTimeout),
        ];
        #[cfg(feature = "rustls")]
        samples.extend(errors_of_tls());
        samples.push(sample(Error::TlsRequired));
        samples.push(sample(Error::DeliveryIsChunks));
        samples
    }

    #[cfg(feature = "rustls")]
    fn errors_of_tls() -> Vec<Sample<Error>> {
        let reason = || rustls::Error::General("no reason".to_owned());
        let mut samples: Vec<_> = [
            TlsError::CryptoMissing,
            TlsError::HostInvalid,
            TlsError::Config(reason()),
            TlsError::PemInvalid("no PEM".to_owned()),
            TlsError::CertificateMissing,
            TlsError::KeyMissing,
            TlsError::Handshake(reason()),
            TlsError::HandshakeUnfinished,
            TlsError::AlpnUnexpected("h2".to_owned()),
            TlsError::Session(reason()),
            TlsError::Truncated,
        ]
        .into_iter()
        .map(|error| {
            let label = format!("`Tls` with `{}`", name_of(&error));
            (label, vec![Error::from(error)])
        })
        .collect();
        assert_eq!(
            samples.len(),
            variants_of("TlsError", "src/tls/error.rs").len()
        );
        samples.push(sample(Error::TlsTimeout));
        samples
    }
}

// -- Rig: one value of every variant --------------------------------------------------------------

const UNCLEAN: &str = "over, unclean";
const AS_IT_WAS: &str = "as it was";
const NOT_OPENED: &str = "not opened";

/// A line of the table, by what stands in its first column, and values that it is about.
type Sample<E> = (String, Vec<E>);

fn sample<E: Debug>(error: E) -> Sample<E> {
    (format!("`{}`", name_of(&error)), vec![error])
}

/// The name of a variant, which its `Debug` begins with.
fn name_of(error: &impl Debug) -> String {
    let text = format!("{error:?}");
    text.split('(').next().unwrap_or_default().to_owned()
}

fn protocol_errors() -> Vec<Sample<ProtocolError>> {
    use ProtocolError::*;
    let errors = [
        ReservedOpcode(3),
        ReservedBitSet,
        ControlFragmented,
        ControlTooLong,
        LengthTooLarge,
        LengthNotMinimal,
        MaskMissing,
        MaskUnexpected,
        ContinuationUnexpected,
        MessageInterrupted,
        TextNotUtf8,
        CloseTooShort,
        CloseCodeInvalid(1005),
        CloseReasonNotUtf8,
        CompressedDataInvalid,
        FrameTooLong,
        MessageTooLong,
        TooManyFragments,
    ];
    errors.into_iter().map(sample).collect()
}

fn send_errors() -> Vec<Sample<SendError>> {
    use SendError::*;
    let errors = [
        Closing,
        ControlTooLong,
        ReasonTooLong,
        MessageUnfinished,
        TextNotUtf8,
        MessageNotData,
        BufferFull,
        HeaderNameInvalid,
        HeaderReserved,
        HeaderValueInvalid,
        SubprotocolInvalid,
        SubprotocolRepeated,
        SubprotocolNotOffered,
        OriginInvalid,
        StatusInvalid,
        UriSchemeUnsupported,
        UriHostInvalid,
        UriPortInvalid,
        UriFragment,
        UriUserInfo,
        UriCharacterInvalid,
        ProxyUriInvalid,
        ProxyCredentialsInvalid,
        MethodNotGet,
        TooManyHeaders,
        AnswerNotHttp1,
    ];
    errors.into_iter().map(sample).collect()
}

fn handshake_errors() -> Vec<Sample<HandshakeError>> {
    use HandshakeError::*;
    let before = [
        HeadMalformed,
        RequestLineTooLong,
        HeadTooLong,
        TooManyHeaders,
        HttpVersionUnsupported,
        HostInvalid,
        TargetInvalid,
        BodyUnexpected,
        NotAnUpgrade,
        MethodNotGet,
        ConnectionNotUpgrade,
        KeyInvalid,
        VersionUnsupported,
        SubprotocolsInvalid,
        ExtensionsInvalid,
        OriginForbidden,
    ];
    let between = [
        UpgradeMismatch,
        AcceptMismatch,
        ExtensionNotOffered,
        ExtensionParametersInvalid,
        SubprotocolNotOffered,
        TooManyInterimResponses,
        LocationInvalid,
        RedirectInsecure,
        TooManyRedirects(answer(302)),
    ];
    let after = [ProxySpokeFirst, ProxyTimedOut, TimedOut, EndOfStream];
    let mut samples: Vec<_> = before.into_iter().map(sample).collect();
    samples.extend(refusals(Refused));
    samples.extend(between.into_iter().map(sample));
    samples.extend(refusals(ProxyRefused));
    samples.extend(after.into_iter().map(sample));
    samples
}

/// The three lines of an error that is judged by the status of an answer.
fn refusals(error: impl Fn(Box<RefusedResponse>) -> HandshakeError) -> Vec<Sample<HandshakeError>> {
    let name = name_of(&error(answer(200)));
    [
        (
            "with 408, 425, 429, 500, 502, 503 or 504",
            &[408, 425, 429, 500, 502, 503, 504][..],
        ),
        ("with any other status from 500 on", &[501, 505, 511, 599]),
        ("with any other status", &[200, 302, 400, 401, 404, 426]),
    ]
    .map(|(condition, statuses)| {
        let errors = statuses.iter().map(|status| error(answer(*status)));
        (format!("`{name}` {condition}"), errors.collect())
    })
    .into()
}

/// Has a client refused with a status.
fn answer(status: u16) -> Box<RefusedResponse> {
    use framewright::handshake::{ClientHandshake, ClientRequest};
    use framewright::{RecvBuffer, SendBuffer};

    // A 101, and every other answer before the final one, is no refusal.
    let written = if status < 200 { 200 } else { status };
    let request = ClientRequest::new("ws://localhost/").expect("a URI");
    let mut client = ClientHandshake::start(
        &request,
        Default::default(),
        [0; 16],
        &mut SendBuffer::new(),
    );
    let head = format!("HTTP/1.1 {written} Whatever\r\nContent-Length: 0\r\n\r\n");
    match client.receive(&mut RecvBuffer::from(head.as_bytes())) {
        Err(HandshakeError::Refused(mut response)) => {
            response.status = status;
            response
        }
        other => panic!("{status} is no refusal: {other:?}"),
    }
}

// -- Rig: the table and the source ----------------------------------------------------------------

/// What the code says of an error.
struct Judgement {
    fault: Fault,
    is_retryable: bool,
    answer: Option<u16>,
}

/// What the docs say of one family of errors.
struct Table {
    rows: Vec<Row>,
}

#[derive(Debug)]
struct Row {
    /// The first column as it is: the variant, and the condition under which the line holds.
    label: String,
    variant: String,
    fault: String,
    connection: String,
    retry: String,
    answer: String,
    rule: String,
}

impl Table {
    /// Reads the table of an enum, and holds its names and citations against the source.
    fn of(name: &str, source: &str) -> Self {
        let text = read("src/error/taxonomy.md");
        let heading = format!("## `{name}`");
        let section = text
            .split("\n## ")
            .find(|section| section.starts_with(&heading[3..]))
            .expect("a section of that name");
        let rows: Vec<_> = section
            .lines()
            .filter(|line| line.starts_with("| `"))
            .map(Row::of)
            .collect();

        let mut variants = variants_of(name, source);
        if name == "Error" {
            variants.retain(|variant| !OF_THE_CORE.contains(&&*variant.name));
        }
        let mut named: Vec<_> = rows.iter().map(|row| &row.variant).collect();
        named.dedup();
        let written: Vec<_> = variants.iter().map(|variant| &variant.name).collect();
        assert_eq!(named, written, "the variants of {name}, in their order");
        for row in &rows {
            assert!([UNCLEAN, AS_IT_WAS, NOT_OPENED].contains(&&*row.connection));
            let variant = variants.iter().find(|it| it.name == row.variant);
            let text = &variant.expect("a name that was compared").text;
            let is_cited = match &*row.rule {
                NONE => row.variant == "Io",
                rule => cites(text, rule.trim_matches('`')),
            };
            assert!(is_cited, "{row:?} is not what the source cites: {text}");
        }
        Self { rows }
    }

    /// Holds every line against the values that it is about, and leaves out none of either.
    fn assert_agrees_with<E: Debug>(&self, samples: &[Sample<E>], judge: impl Fn(&E) -> Judgement) {
        let labels: Vec<_> = self.rows.iter().map(|row| &row.label).collect();
        let sampled: Vec<_> = samples.iter().map(|(label, _)| label).collect();
        assert_eq!(labels, sampled);
        for (row, (_, errors)) in self.rows.iter().zip(samples) {
            assert!(!errors.is_empty());
            for error in errors {
                let judgement = judge(error);
                assert_eq!(name_of(error), row.variant);
                let fault = format!("{:?}", judgement.fault).to_lowercase();
                assert_eq!(row.fault, fault, "{error:?}");
                let retry = if judgement.is_retryable { "yes" } else { "no" };
                assert_eq!(row.retry, retry, "{error:?}");
                let answer = judgement.answer.map(|number| number.to_string());
                assert_eq!(row.answer, answer.as_deref().unwrap_or(NONE), "{error:?}");
            }
        }
    }

    #[cfg(feature = "test-util")]
    fn row_of(&self, error: &impl Debug) -> &Row {
        let name = name_of(error);
        let row = self.rows.iter().find(|row| row.variant == name);
        row.expect("a line for every variant")
    }
}

impl Row {
    fn of(line: &str) -> Self {
        let cells: Vec<_> = line.trim_matches('|').split('|').map(str::trim).collect();
        let [label, fault, connection, retry, answer, rule] = cells[..] else {
            panic!("not six columns: {line}");
        };
        Self {
            label: label.to_owned(),
            variant: label.split('`').nth(1).unwrap_or_default().to_owned(),
            fault: fault.to_owned(),
            connection: connection.to_owned(),
            retry: retry.to_owned(),
            answer: answer.to_owned(),
            rule: rule.to_owned(),
        }
    }
}

/// Whether a text names a rule: a section of the crate's RFC where it begins with it, and anything
/// else wherever it stands.
fn cites(text: &str, rule: &str) -> bool {
    let is_section = rule.starts_with(|first: char| first.is_ascii_digit());
    if is_section || rule.starts_with("RFC") {
        // Sections may go on: the line says "9112", and the source more of it. They may not begin
        // otherwise.
        return text.starts_with(&format!("{rule}:")) || text.starts_with(&format!("{rule}, "));
    }
    text.contains(rule)
}

/// A variant as the source has it.
struct Variant {
    name: String,
    /// Its docs and the attributes above it, in one line.
    text: String,
}

/// Reads the variants of an enum from its source.
fn variants_of(name: &str, source: &str) -> Vec<Variant> {
    let source = read(source);
    let start = format!("pub enum {name} {{\n");
    let (_, rest) = source.split_once(&start).expect("an enum of that name");
    let (body, _) = rest.split_once("\n}").expect("the end of an enum");
    let mut variants = Vec::new();
    let mut text = String::new();
    for line in body.lines() {
        let line = line.trim();
        let is_name = line.starts_with(|first: char| first.is_ascii_uppercase());
        if is_name && line.ends_with(',') {
            let end = line.find(|letter: char| !letter.is_ascii_alphanumeric());
            let name = line[..end.unwrap_or(line.len())].to_owned();
            variants.push(Variant {
                name,
                text: std::mem::take(&mut text).trim().to_owned(),
            });
        } else {
            text.push_str(line.trim_start_matches("///"));
        }
    }
    assert!(variants.len() > 5, "{name} has more variants than that");
    variants
}

fn read(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn the_rig_sees_variants_and_what_they_cite() {
    let variants = variants_of("ProtocolError", "src/error.rs");
    assert_eq!(variants[0].name, "ReservedOpcode");
    assert!(variants[0].text.starts_with("5.2: a frame of an opcode"));
    assert!(variants[0].text.contains("opcode {0:#x} is reserved"));
    assert!(cites("5.5.1: a reason", "5.5.1"));
    assert!(!cites("5.5.1: a reason", "5.5"));
    assert!(!cites("5.5: see 5.2", "5.2"));
    assert!(cites("RFC 9112, section 8: the end", "RFC 9112"));
    assert!(cites("above `max_frame_len` bytes", "max_frame_len"));
    let row = Row::of("| `Refused` with 400 | peer | not opened | no | – | 4.1 item 1 |");
    assert_eq!(row.variant, "Refused");
    assert_eq!(row.label, "`Refused` with 400");
}
