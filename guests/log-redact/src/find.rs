//! Finds what a regular expression cannot tell: numbers that check, and keys that go over several lines.

use std::ops::Range;

/// Digits of a card's number.
const CARD: std::ops::RangeInclusive<usize> = 13..=19;
/// A block that goes on for longer is none: whoever writes a beginning alone does not silence the rest of a run. Lines.
const MOST_LINES: u32 = 256;

const BEGIN: &str = "-----BEGIN ";
const END: &str = "-----END ";
const DASHES: &str = "-----";

/// A PEM block that has begun and not ended.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Block {
    lines_left: u32,
}

/// In whatever case. Each line is looked through for each word, so only its first byte is compared everywhere.
pub fn has(text: &str, word: &str) -> bool {
    let (text, word) = (text.as_bytes(), word.as_bytes());
    let Some(first) = word.first().map(u8::to_ascii_lowercase) else { return true };
    let is_at = |at: usize| text.get(at..at + word.len()).is_some_and(|part| part.eq_ignore_ascii_case(word));
    (0..text.len()).any(|at| text[at].to_ascii_lowercase() == first && is_at(at))
}

/// Numbers of payment cards, in groups or not. A group of digits belongs to a number as a whole or not at all.
pub fn cards(text: &str, mark: &mut impl FnMut(Range<usize>)) {
    let groups = groups(text);
    let mut first = 0;
    while first < groups.len() {
        match card_from(text, &groups[first..]) {
            Some(count) => {
                mark(groups[first].start..groups[first + count - 1].end);
                first += count;
            }
            None => first += 1,
        }
    }
}

/// Stretches of digits.
fn groups(text: &str) -> Vec<Range<usize>> {
    let mut groups: Vec<Range<usize>> = Vec::new();
    for (at, _) in text.bytes().enumerate().filter(|(_, byte)| byte.is_ascii_digit()) {
        match groups.last_mut() {
            Some(last) if last.end == at => last.end = at + 1,
            _ => groups.push(at..at + 1),
        }
    }
    groups
}

/// How many of the groups, from the first, are the longest number that there is.
fn card_from(text: &str, groups: &[Range<usize>]) -> Option<usize> {
    let mut digits = String::new();
    let mut found = None;
    for (i, group) in groups.iter().enumerate() {
        let is_next = i == 0 || matches!(&text[groups[i - 1].end..group.start], " " | "-");
        if !is_next || digits.len() + group.len() > *CARD.end() {
            break;
        }
        digits.push_str(&text[group.clone()]);
        if CARD.contains(&digits.len()) && is_card(&digits) {
            found = Some(i + 1);
        }
    }
    found
}

/// Beginnings that are issued, and the check of Luhn: one in ten of other numbers would pass that alone.
fn is_card(digits: &str) -> bool {
    let is_issued = matches!(digits.as_bytes()[0], b'3'..=b'6') || ("2200".."2721").contains(&&digits[..4]);
    let sum: u32 = digits
        .bytes()
        .rev()
        .enumerate()
        .map(|(place, byte)| u32::from(byte - b'0') * if place % 2 == 1 { 2 } else { 1 })
        .map(|value| if value > 9 { value - 9 } else { value })
        .sum();
    is_issued && sum % 10 == 0
}

/// PEM blocks, one that an earlier line has begun too. What is open after this line is given back.
pub fn pem(text: &str, open: Option<Block>, mark: &mut impl FnMut(Range<usize>)) -> Option<Block> {
    let mut at = 0;
    let mut open = open;
    loop {
        if let Some(Block { lines_left }) = open {
            let Some(end) = text[at..].find(END).map(|found| at + found) else {
                mark(at..text.len());
                return (lines_left > 1).then(|| Block { lines_left: lines_left - 1 });
            };
            let after = end + END.len();
            let stop = text[after..].find(DASHES).map_or(text.len(), |found| after + found + DASHES.len());
            mark(at..stop);
            (at, open) = (stop, None);
        } else {
            let begin = text[at..].find(BEGIN).map(|found| at + found)?;
            let after = begin + BEGIN.len();
            let is_label = text[after..].find(DASHES).is_some_and(|label| text[after..after + label].bytes().all(is_of_label));
            at = if is_label { begin } else { after };
            open = is_label.then_some(Block { lines_left: MOST_LINES });
        }
    }
}

fn is_of_label(byte: u8) -> bool {
    byte == b' ' || byte.is_ascii_uppercase() || byte.is_ascii_digit()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(finder: impl Fn(&str, &mut dyn FnMut(Range<usize>)), text: &str) -> Vec<&str> {
        let mut ranges = Vec::new();
        finder(text, &mut |range| ranges.push(range));
        ranges.into_iter().map(|range| &text[range]).collect()
    }

    fn cards_of(text: &str) -> Vec<&str> {
        found(|text, mut mark| cards(text, &mut mark), text)
    }

    #[test]
    fn a_card_is_a_number_that_checks() {
        assert_eq!(cards_of("4111111111111111,5555-5555-5555-4444"), ["4111111111111111", "5555-5555-5555-4444"]);
        assert_eq!(cards_of("order 12 3782 822463 10005 of 3"), ["3782 822463 10005"]);
        assert_eq!(cards_of("2223003122003222"), ["2223003122003222"]);
    }

    #[test]
    fn other_numbers_are_none() {
        for text in [
            "4111111111111112",
            "411111111111",
            "1754089200000000000",
            "00000000000000000000",
            "4111  1111 1111 1111",
            "",
            "0000000000000000",
        ] {
            assert_eq!(cards_of(text), [""; 0], "{text}");
        }
    }

    #[test]
    fn many_digits_take_no_more_than_their_length() {
        assert_eq!(cards_of(&"1 ".repeat(8192)), [""; 0]);
        assert_eq!(cards_of(&"4".repeat(16384)), [""; 0]);
    }

    #[test]
    fn a_block_that_does_not_end_ends_at_last() {
        let mut open = pem("-----BEGIN X-----", None, &mut |_| ());
        let mut lines = 0;
        while open.is_some() {
            open = pem("abc", open, &mut |_| ());
            lines += 1;
        }
        assert_eq!(lines, MOST_LINES - 1);
    }

    #[test]
    fn blocks_of_one_line_are_found_each() {
        let text = "a-----BEGIN X-----b-----END X-----c-----BEGIN Y-----d-----END Y";
        assert_eq!(found(|text, mut mark| _ = pem(text, None, &mut mark), text), [&text[1..34], &text[35..]]);
    }
}
