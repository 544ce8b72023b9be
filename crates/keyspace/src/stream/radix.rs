//! How large the reference's radix tree would be: a number that XINFO shows.
//!
//! There a chain of bytes without a fork is one node, a fork is one, and so is the end of each key.

/// Nodes of the tree of these keys, which come in order, are as long as each other and differ.
pub(super) fn node_count<const N: usize>(keys: impl Iterator<Item = [u8; N]>) -> usize {
    // The forks on the way to the last key, by the number of bytes before them; the deepest last.
    let mut forks: Vec<usize> = Vec::new();
    let mut last: Option<[u8; N]> = None;
    let mut nodes = 0;
    for key in keys {
        if let Some(last) = last {
            let shared = last.iter().zip(&key).take_while(|(a, b)| a == b).count();
            // What the last key has below this fork is complete.
            let mut below = N;
            while let Some(&fork) = forks.last()
                && fork > shared
            {
                nodes += chain(fork, below);
                below = fork;
                forks.pop();
            }
            if forks.last() == Some(&shared) {
                nodes += chain(shared, below);
            } else {
                nodes += chain(shared, below) + 1;
                forks.push(shared);
            }
        }
        nodes += 1;
        last = Some(key);
    }
    if last.is_none() {
        return 1;
    }
    let mut below = N;
    while let Some(fork) = forks.pop() {
        nodes += chain(fork, below);
        below = fork;
    }
    nodes + usize::from(below > 0)
}

/// The node between a fork and what is below it, if a byte is left after the one that chose the branch.
fn chain(fork: usize, below: usize) -> usize {
    usize::from(below > fork + 1)
}

#[cfg(test)]
mod tests {
    use super::node_count;

    #[test]
    fn forks_chains_and_ends_are_counted() {
        let count = |keys: &[&[u8; 4]]| node_count(keys.iter().map(|key| **key));
        // Counted by hand; the Tcl suite compares real ids with what the reference tells.
        assert_eq!(count(&[]), 1);
        assert_eq!(count(&[b"aaaa"]), 2);
        assert_eq!(count(&[b"aaaa", b"aaab"]), 4);
        assert_eq!(count(&[b"aaaa", b"abaa"]), 6);
        assert_eq!(count(&[b"aaaa", b"baaa"]), 5);
        assert_eq!(count(&[b"aaaa", b"aaab", b"aaac"]), 5);
        assert_eq!(count(&[b"aaaa", b"aaab", b"abaa"]), 8);
        assert_eq!(count(&[b"aaaa", b"abaa", b"abab"]), 8);
    }
}
