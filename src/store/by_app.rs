//! What is known of each application: there are few, so a list is searched as fast as a tree, and takes less code.

use crate::apps::AppName;

/// A value for each application of which something is known.
pub(super) struct ByApp<T>(Vec<(AppName, T)>);

impl<T> Default for ByApp<T> {
    fn default() -> ByApp<T> {
        ByApp(Vec::new())
    }
}

impl<T: Default> ByApp<T> {
    pub(super) fn get(&self, name: &str) -> Option<&T> {
        self.0.iter().find(|(of, _)| of == name).map(|(_, value)| value)
    }

    pub(super) fn get_mut(&mut self, name: &str) -> Option<&mut T> {
        self.0.iter_mut().find(|(of, _)| of == name).map(|(_, value)| value)
    }

    /// What is known of that application; from now on at least the default.
    pub(super) fn entry(&mut self, name: &AppName) -> &mut T {
        let at = self.0.iter().position(|(of, _)| of == name).unwrap_or_else(|| {
            self.0.push((name.clone(), T::default()));
            self.0.len() - 1
        });
        &mut self.0[at].1
    }

    pub(super) fn remove(&mut self, name: &str) {
        self.0.retain(|(of, _)| of != name);
    }
}

#[cfg(test)]
impl<T> ByApp<T> {
    pub(super) fn values(&self) -> impl ExactSizeIterator<Item = &T> {
        self.0.iter().map(|(_, value)| value)
    }
}
