//! WebSocket frames (RFC 6455 §5.2) as far as an echo needs them: whole frames with lengths up to 65 535
//! bytes.

const MASKED: u8 = 0x80;
const LENGTH_16_BITS: u8 = 126;
const MASK_BYTES: usize = 4;
/// Any will do: it must only be there. A client's mask protects careless proxies, not this one.
const MASK: [u8; MASK_BYTES] = [0x37, 0xfa, 0x21, 0x3d];
/// FIN and opcode 2.
const FINAL_BINARY: u8 = 0x82;

/// A client's message in one masked frame.
pub fn masked(payload: &[u8]) -> Vec<u8> {
    let mut frame = Vec::new();
    write_head(&mut frame, FINAL_BINARY, MASKED, payload.len());
    frame.extend_from_slice(&MASK);
    frame.extend(payload.iter().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    frame
}

/// A server's message in one frame.
pub fn unmasked(payload: &[u8]) -> Vec<u8> {
    let mut frame = Vec::new();
    write_head(&mut frame, FINAL_BINARY, 0, payload.len());
    frame.extend_from_slice(payload);
    frame
}

/// Answer every whole frame of `input` with its payload, taking it away from there; a partial one stays.
pub fn echo(input: &mut Vec<u8>, output: &mut Vec<u8>) {
    let mut taken = 0;
    while let Some((first, payload, end)) = next_frame(&input[taken..]) {
        write_head(output, first, 0, payload.len());
        let masks = input[taken + payload.start - MASK_BYTES..][..MASK_BYTES].iter().cycle();
        let bytes = input[taken..][payload].iter();
        output.extend(bytes.zip(masks).map(|(byte, mask)| byte ^ mask));
        taken += end;
    }
    input.drain(..taken);
}

/// First byte, where the payload stands, and the frame's end.
fn next_frame(bytes: &[u8]) -> Option<(u8, std::ops::Range<usize>, usize)> {
    let (&first, &second) = (bytes.first()?, bytes.get(1)?);
    let (length, head) = match second & !MASKED {
        LENGTH_16_BITS => {
            let length = [*bytes.get(2)?, *bytes.get(3)?];
            (usize::from(u16::from_be_bytes(length)), 4 + MASK_BYTES)
        }
        short => (usize::from(short), 2 + MASK_BYTES),
    };
    let end = head + length;
    (bytes.len() >= end).then_some((first, head..end, end))
}

fn write_head(frame: &mut Vec<u8>, first: u8, masked: u8, length: usize) {
    if length < usize::from(LENGTH_16_BITS) {
        frame.extend_from_slice(&[first, masked | length as u8]);
    } else {
        frame.extend_from_slice(&[first, masked | LENGTH_16_BITS]);
        frame.extend_from_slice(&(length as u16).to_be_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_frames_come_back_unmasked_and_a_partial_one_waits() {
        let payloads: [&[u8]; 3] = [b"hello", b"", &[7; 300]];
        let mut sent = payloads.map(masked).concat();
        let expected = payloads.map(unmasked).concat();
        let last = sent.pop();
        let (mut input, mut output) = (sent, Vec::new());
        echo(&mut input, &mut output);
        assert_eq!(output, expected[..expected.len() - unmasked(payloads[2]).len()]);
        input.extend(last);
        echo(&mut input, &mut output);
        assert_eq!(output, expected);
        assert!(input.is_empty());
    }

    #[test]
    fn the_example_of_the_specification() {
        // RFC 6455 §5.7: "Hello", there as text.
        let frame = [0x82, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58];
        assert_eq!(masked(b"Hello"), frame);
    }
}
