//! Requests that are kept for later: MULTI queues them, a blocked client's runs again.

const START_BYTES: usize = size_of::<usize>();

/// The words of a request in one allocation: a client may queue millions of requests, and what they take is what its
/// limits count.
///
/// Layout: for each word the offset of its first byte, then the words themselves. So the first offset tells how many
/// words there are, and each word ends where the next begins.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Words(Box<[u8]>);

impl Words {
    /// A copy of `words`.
    #[must_use]
    pub fn new(words: &[&[u8]]) -> Self {
        let mut start = words.len() * START_BYTES;
        let bytes = words.iter().map(|word| word.len()).sum::<usize>();
        let mut all = Vec::with_capacity(start + bytes);
        for word in words {
            all.extend_from_slice(&start.to_ne_bytes());
            start += word.len();
        }
        for word in words {
            all.extend_from_slice(word);
        }
        Words(all.into_boxed_slice())
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.start(0) / START_BYTES
    }

    /// True without any.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The words in order.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let count = self.len();
        (0..count).map(move |index| {
            let end = if index + 1 < count {
                self.start(index + 1)
            } else {
                self.0.len()
            };
            &self.0[self.start(index)..end]
        })
    }

    /// Memory they take, in bytes: those of the words, and 8 for each.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.0.len()
    }

    /// Bytes of the words alone.
    #[must_use]
    pub fn text_bytes(&self) -> usize {
        self.0.len() - self.start(0)
    }

    fn start(&self, index: usize) -> usize {
        self.0
            .get(index * START_BYTES..)
            .and_then(|rest| rest.first_chunk())
            .map_or(0, |bytes| usize::from_ne_bytes(*bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::Words;

    #[test]
    fn words_come_back_as_they_were() {
        let long = [b'x'; 300];
        let samples: [&[&[u8]]; 6] = [
            &[],
            &[b""],
            &[b"PING"],
            &[b"", b"", b""],
            &[b"SET", b"", &long],
            &[&long, b"a", b""],
        ];
        for sample in samples {
            let words = Words::new(sample);
            assert_eq!(words.len(), sample.len());
            assert_eq!(words.is_empty(), sample.is_empty());
            assert!(words.iter().eq(sample.iter().copied()), "{sample:?}");
            let bytes: usize = sample.iter().map(|word| word.len() + 8).sum();
            assert_eq!(words.bytes(), bytes);
            assert_eq!(words.text_bytes(), bytes - 8 * sample.len());
        }
    }
}
