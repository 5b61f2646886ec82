//! Tells languages apart by which letters follow which.
//!
//! How likely each sequence of four letters is in each language is computed for all of them when an instance is made. That
//! takes a while, and afterwards a text costs one look for each of its letters.

wit_bindgen::generate!({ path: "../language.wit", world: "detector" });

use exports::example::text::language::{Guess, Guest};

struct Component;
export!(Component);

/// A language in each line: its code, a tab, a text in it.
const SAMPLES: &str = include_str!("../../samples.txt");
const LANGUAGES: usize = 4;
/// Letters that are told apart: a to z, all others, and what is between words.
const LETTERS: usize = 28;
const SEQUENCES: usize = LETTERS.pow(4);

struct Model {
    codes: [&'static str; LANGUAGES],
    /// By sequence, in each language: the logarithm of how likely it is.
    likely: Vec<[f32; LANGUAGES]>,
}

/// Set once, before anything is called: an instance has one thread.
static mut MODEL: Option<Model> = None;

/// Called when an instance is made.
#[unsafe(no_mangle)]
extern "C" fn _initialize() {
    // Sound: nothing else runs in the instance yet.
    unsafe { *(&raw mut MODEL) = Some(Model::new()) };
}

impl Model {
    fn new() -> Self {
        let mut codes = [""; LANGUAGES];
        let mut counts = vec![[0f32; LANGUAGES]; SEQUENCES];
        let mut shorter = vec![[0f32; LANGUAGES]; LETTERS.pow(2)];
        let mut totals = [0f32; LANGUAGES];
        for (language, line) in SAMPLES.lines().enumerate() {
            let (code, text) = line.split_once('\t').expect("a tab follows the code");
            codes[language] = code;
            for sequence in sequences(text) {
                counts[sequence][language] += 1.0;
                shorter[sequence % LETTERS.pow(2)][language] += 1.0;
                totals[language] += 1.0;
            }
        }
        // A sequence that the sample does not have is as likely as its last two letters say.
        let mut likely = counts;
        for (sequence, of) in likely.iter_mut().enumerate() {
            let pair = shorter[sequence % LETTERS.pow(2)];
            for language in 0..LANGUAGES {
                let smoothed = of[language] + 0.1 * (pair[language] + 0.5) / (totals[language] + 0.5);
                of[language] = (smoothed / (totals[language] + 1.0)).ln();
            }
        }
        Self { codes, likely }
    }
}

/// The number of each sequence of four letters.
fn sequences(text: &str) -> impl Iterator<Item = usize> {
    let mut sequence = 0;
    text.chars().enumerate().filter_map(move |(at, letter)| {
        sequence = (sequence * LETTERS + number(letter)) % SEQUENCES;
        (at >= 3).then_some(sequence)
    })
}

fn number(letter: char) -> usize {
    match letter.to_ascii_lowercase() {
        letter @ 'a'..='z' => letter as usize - 'a' as usize,
        letter if letter.is_alphabetic() => 26,
        _ => 27,
    }
}

impl Guest for Component {
    fn detect(text: String) -> Option<Guess> {
        // Sound: it is only read from here on.
        let model = unsafe { (*(&raw const MODEL)).as_ref() }?;
        let mut sums = [0f32; LANGUAGES];
        let mut letters = 0;
        for sequence in sequences(&text) {
            letters += 1;
            for (sum, likely) in sums.iter_mut().zip(model.likely[sequence]) {
                *sum += likely;
            }
        }
        if letters == 0 {
            return None;
        }
        let best = (0..LANGUAGES).max_by(|one, other| sums[*one].total_cmp(&sums[*other]))?;
        let weights = sums.map(|sum| f64::from(sum - sums[best]).exp());
        Some(Guess { language: model.codes[best].to_owned(), certainty: 1.0 / weights.iter().sum::<f64>() })
    }
}
