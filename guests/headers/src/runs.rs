//! What a sidecar remembers of runs. One instance is called for many of them at once, and is not told of each one's end.

use std::collections::BTreeMap;

/// At most so many runs; a new one puts the oldest out.
pub struct Runs<T> {
    most: usize,
    next: u64,
    /// By run, with its place in the order.
    values: BTreeMap<String, (u64, T)>,
    order: BTreeMap<u64, String>,
}

impl<T> Runs<T> {
    pub const fn new(most: usize) -> Self {
        Self { most, next: 0, values: BTreeMap::new(), order: BTreeMap::new() }
    }

    pub fn insert(&mut self, run: &str, value: T) {
        self.take(run);
        while self.values.len() >= self.most {
            let Some((_, oldest)) = self.order.pop_first() else { break };
            self.values.remove(&oldest);
        }
        self.order.insert(self.next, run.to_owned());
        self.values.insert(run.to_owned(), (self.next, value));
        self.next += 1;
    }

    pub fn get(&self, run: &str) -> Option<&T> {
        self.values.get(run).map(|(_, value)| value)
    }

    /// What is remembered of it from here on.
    pub fn get_or_default(&mut self, run: &str) -> &mut T
    where
        T: Default,
    {
        if !self.values.contains_key(run) {
            self.insert(run, T::default());
        }
        &mut self.values.entry(run.to_owned()).or_default().1
    }

    pub fn take(&mut self, run: &str) -> Option<T> {
        let (place, value) = self.values.remove(run)?;
        self.order.remove(&place);
        Some(value)
    }

    pub fn len(&self) -> usize {
        self.values.len()
    }

    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::Runs;

    #[test]
    fn the_oldest_run_makes_room() {
        let mut runs = Runs::new(2);
        for run in ["a", "b", "c"] {
            runs.insert(run, run.to_uppercase());
        }
        assert_eq!((runs.take("a"), runs.take("b"), runs.len()), (None, Some("B".into()), 1));
    }

    #[test]
    fn a_run_that_is_taken_leaves_its_place_to_others() {
        let mut runs = Runs::new(2);
        runs.insert("long", 0);
        for n in 0..10 {
            runs.insert("short", n);
            assert_eq!(runs.take("short"), Some(n));
        }
        runs.insert("short", 1);
        runs.insert("short", 2);
        assert_eq!((runs.get("long"), runs.get("short"), runs.len()), (Some(&0), Some(&2), 2));
    }
}
