//! BERT's tokeniser, uncased: a sentence to ids. Reads the `tokenizer.json` of the model.
//!
//! The `tokenizers` crate does the same among much else, and brings 84 crates; prompts are plain sentences.

use std::collections::HashMap;

use anyhow::{Context, ensure};
use serde_json::Value;
use unicode_normalization::UnicodeNormalization as _;
use unicode_normalization::char::is_combining_mark;

/// See the module.
pub struct WordPiece {
    vocabulary: HashMap<String, i64>,
    unknown: i64,
    start: i64,
    end: i64,
    max_word_chars: usize,
    max_tokens: usize,
}

impl WordPiece {
    /// From a `tokenizer.json`; one of another kind is refused. Sentences are cut at `max_tokens`.
    pub fn parse(json: &[u8], max_tokens: usize) -> anyhow::Result<Self> {
        let file: Value = serde_json::from_slice(json)?;
        for (place, expected) in [
            ("/model/type", Value::from("WordPiece")),
            ("/model/continuing_subword_prefix", Value::from("##")),
            ("/normalizer/type", Value::from("BertNormalizer")),
            ("/normalizer/lowercase", Value::from(true)),
            ("/normalizer/strip_accents", Value::Null),
            ("/pre_tokenizer/type", Value::from("BertPreTokenizer")),
        ] {
            let found = file.pointer(place).unwrap_or(&Value::Null);
            ensure!(
                *found == expected,
                "{place} is {found}, expected {expected}"
            );
        }
        let vocabulary = file.pointer("/model/vocab").and_then(Value::as_object);
        let vocabulary: HashMap<String, i64> =
            (vocabulary.context("/model/vocab is missing")?.iter())
                .filter_map(|(word, id)| Some((word.clone(), id.as_i64()?)))
                .collect();
        let special = |word: &str| {
            let id = vocabulary.get(word).copied();
            id.with_context(|| format!("{word} is not in the vocabulary"))
        };
        let max_word_chars = file.pointer("/model/max_input_chars_per_word");
        ensure!(
            max_tokens >= 2,
            "max_tokens is {max_tokens}, expected 2 or more"
        );
        Ok(Self {
            unknown: special("[UNK]")?,
            start: special("[CLS]")?,
            end: special("[SEP]")?,
            max_word_chars: max_word_chars.and_then(Value::as_u64).unwrap_or(100) as usize,
            max_tokens,
            vocabulary,
        })
    }

    /// Ids of a sentence, start and end included.
    pub fn ids(&self, sentence: &str) -> Vec<i64> {
        let mut ids = vec![self.start];
        for word in words(sentence) {
            self.pieces(&word, &mut ids);
        }
        ids.truncate(self.max_tokens - 1);
        ids.push(self.end);
        ids
    }

    /// The longest known piece first, then the rest; a word with an unknown piece is unknown.
    fn pieces(&self, word: &[char], ids: &mut Vec<i64>) {
        let before = ids.len();
        let mut start = 0;
        while start < word.len() && word.len() <= self.max_word_chars {
            let prefix = if start == 0 { "" } else { "##" };
            let known = (start + 1..=word.len()).rev().find_map(|end| {
                let piece: String = prefix
                    .chars()
                    .chain(word[start..end].iter().copied())
                    .collect();
                Some((end, *self.vocabulary.get(&piece)?))
            });
            let Some((end, id)) = known else { break };
            ids.push(id);
            start = end;
        }
        if start < word.len() {
            ids.truncate(before);
            ids.push(self.unknown);
        }
    }
}

/// Lower case, without accents; punctuation and Chinese characters are words of their own.
fn words(sentence: &str) -> Vec<Vec<char>> {
    let mut words: Vec<Vec<char>> = vec![Vec::new()];
    let cleaned = sentence.nfd().filter(|c| !is_combining_mark(*c));
    for c in cleaned.flat_map(char::to_lowercase) {
        if c.is_whitespace() {
            words.push(Vec::new());
        } else if is_punctuation(c) || is_chinese(c) {
            words.extend([vec![c], Vec::new()]);
        } else if !c.is_control()
            && c != '\u{fffd}'
            && let Some(word) = words.last_mut()
        {
            word.push(c);
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

fn is_punctuation(c: char) -> bool {
    c.is_ascii_punctuation()
        || matches!(c, '¡' | '§' | '«' | '¶' | '·' | '»' | '¿' | '\u{2010}'..='\u{2027}' | '\u{2030}'..='\u{205e}' | '\u{3001}'..='\u{3003}' | '\u{3008}'..='\u{3011}')
}

fn is_chinese(c: char) -> bool {
    matches!(c, '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{2ceaf}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_pieces_as_bert_has_them() {
        let json = std::fs::read(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/models/tokenizer.json"
        ));
        let tokenizer = WordPiece::parse(&json.unwrap(), 128).unwrap();
        // Made with the Python package `tokenizers` from the same file.
        for (sentence, ids) in EXPECTED {
            assert_eq!(tokenizer.ids(sentence), *ids, "{sentence}");
        }
        let long = "stop ".repeat(200);
        assert_eq!(tokenizer.ids(&long).len(), 128);
    }

    const EXPECTED: &[(&str, &[i64])] = &[
        (
            "a {limit} \u{201c}MAXIMUM 50\u{201d} km/h",
            &[
                101, 1037, 1063, 5787, 1065, 1523, 4555, 2753, 1524, 2463, 1013, 1044, 102,
            ],
        ),
        (
            "a red octagon with the white word STOP",
            &[
                101, 1037, 2417, 13323, 23692, 2078, 2007, 1996, 2317, 2773, 2644, 102,
            ],
        ),
        (
            "Zul\u{e4}ssige H\u{f6}chstgeschwindigkeit, 30-Zone",
            &[
                101, 16950, 27102, 25538, 21929, 7898, 2102, 8449, 2818, 11101, 8004, 29501, 2102,
                1010, 2382, 1011, 4224, 102,
            ],
        ),
        (
            "\u{6b62}\u{307e}\u{308c} and \u{441}\u{442}\u{43e}\u{43f}",
            &[101, 1887, 1677, 30214, 1998, 1196, 22919, 14150, 29746, 102],
        ),
        (
            "antidisestablishmentarianism x\u{e9}\u{301}\u{9}qqqzzz\u{2014}end",
            &[
                101, 3424, 10521, 4355, 7875, 13602, 3672, 12199, 2964, 1060, 2063, 1053, 4160,
                4160, 13213, 2480, 1517, 2203, 102,
            ],
        ),
        (
            "an unknown \u{2603} sign",
            &[101, 2019, 4242, 100, 3696, 102],
        ),
    ];
}
