//! Frame headers, decoded and encoded.
//!
//! Asserts, of any bytes:
//! - decoding agrees with section 5.2 to the letter, and names the rule that the first wrong byte
//!   breaks;
//! - every prefix decodes to nothing yet, or to what the whole decodes to;
//! - what decodes is encoded to the bytes that it came from, and as many as `encoded_len` says.
//!
//! And of any header: `decode(encode(header)) == header`, and the length is `encoded_len`.

#![no_main]

use framewright::ProtocolError;
use framewright::frame::{FrameHeader, MaskingKey, Opcode, Rsv};
use framewright_fuzz::script::Script;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    decodes_by_the_letter(data);
    returns_from_bytes(data);
});

fn decodes_by_the_letter(data: &[u8]) {
    let decoded = FrameHeader::decode(data);
    assert_eq!(
        decoded.map(|header| header.map(fields)),
        by_the_letter(data)
    );
    for len in 0..data.len().min(FrameHeader::MAX_LEN) {
        let prefix = FrameHeader::decode(&data[..len]);
        assert!(
            prefix == Ok(None) || prefix == decoded,
            "{prefix:?}, {decoded:?}"
        );
    }
    match decoded {
        Ok(Some(header)) => {
            let mut encoded = vec![0xee];
            header.encode(&mut encoded);
            assert_eq!(encoded.len() - 1, header.encoded_len());
            assert_eq!(encoded[1..], data[..header.encoded_len()]);
            assert_eq!(
                FrameHeader::decode(&data[..header.encoded_len() - 1]),
                Ok(None)
            );
        }
        Ok(None) => assert!(data.len() < FrameHeader::MAX_LEN),
        Err(_) => {}
    }
}

fn returns_from_bytes(data: &[u8]) {
    let mut script = Script::new(data);
    let choice = script.byte();
    let opcode = script.pick(&[
        Opcode::Continuation,
        Opcode::Text,
        Opcode::Binary,
        Opcode::Close,
        Opcode::Ping,
        Opcode::Pong,
    ]);
    let mut rsv = Rsv::NONE;
    for (bit, flag) in [(Rsv::RSV1, 1), (Rsv::RSV2, 2), (Rsv::RSV3, 4)] {
        if choice & flag != 0 {
            rsv = rsv | bit;
        }
    }
    let longest = if opcode.is_control() { 6 } else { 63 };
    let bits = script.below(longest + 1);
    let header = FrameHeader {
        fin: opcode.is_control() || choice & 8 != 0,
        rsv,
        opcode,
        mask: (choice & 16 != 0).then(|| MaskingKey::new(script.array().unwrap_or_default())),
        payload_len: script.u64() & ((1 << bits) - 1),
    };
    let mut encoded = Vec::new();
    header.encode(&mut encoded);
    assert_eq!(encoded.len(), header.encoded_len());
    encoded.extend_from_slice(script.rest());
    assert_eq!(FrameHeader::decode(&encoded), Ok(Some(header)));
}

/// A header's fields: the first byte, the key and the length.
type Fields = (u8, Option<[u8; 4]>, u64);

fn fields(header: FrameHeader) -> Fields {
    let mut first = header.opcode.bits();
    for (is_set, bit) in [
        (header.fin, 0x80),
        (header.rsv.contains(Rsv::RSV1), 0x40),
        (header.rsv.contains(Rsv::RSV2), 0x20),
        (header.rsv.contains(Rsv::RSV3), 0x10),
    ] {
        if is_set {
            first |= bit;
        }
    }
    (
        first,
        header.mask.map(MaskingKey::bytes),
        header.payload_len,
    )
}

/// Section 5.2, byte by byte.
fn by_the_letter(bytes: &[u8]) -> Result<Option<Fields>, ProtocolError> {
    let Some(&first) = bytes.first() else {
        return Ok(None);
    };
    if matches!(first & 0x0f, 3..=7 | 0xb..=0xf) {
        return Err(ProtocolError::ReservedOpcode(first & 0x0f));
    }
    let is_control = first & 0x08 != 0;
    if is_control && first & 0x80 == 0 {
        return Err(ProtocolError::ControlFragmented);
    }
    let Some(&second) = bytes.get(1) else {
        return Ok(None);
    };
    let short_len = second & 0x7f;
    if is_control && short_len > 125 {
        return Err(ProtocolError::ControlTooLong);
    }
    let extended_len = match short_len {
        126 => 2,
        127 => 8,
        _ => 0,
    };
    let mut payload_len = 0;
    for index in 0..extended_len {
        let Some(&byte) = bytes.get(2 + index) else {
            return Ok(None);
        };
        payload_len = payload_len << 8 | u64::from(byte);
        if extended_len == 8 && index == 0 && byte >= 0x80 {
            return Err(ProtocolError::LengthTooLarge);
        }
        // Six zeros of eight bytes leave no more than 16 bits.
        if extended_len == 8 && index == 5 && payload_len == 0 {
            return Err(ProtocolError::LengthNotMinimal);
        }
    }
    if extended_len == 2 && payload_len < 126 {
        return Err(ProtocolError::LengthNotMinimal);
    }
    if extended_len == 0 {
        payload_len = u64::from(short_len);
    }
    let mask = if second & 0x80 == 0 {
        None
    } else {
        let start = 2 + extended_len;
        let Some(key) = bytes.get(start..start + 4) else {
            return Ok(None);
        };
        Some([key[0], key[1], key[2], key[3]])
    };
    Ok(Some((first, mask, payload_len)))
}
