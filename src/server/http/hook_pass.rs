//! How a client over HTTP stands with its application's hooks.

use crate::handles::AppId;
use crate::live::hook_settings::HookEvent;
use crate::name::StreamPath;
use crate::server::hook_said::HookSaid;

/// What the hooks have said of a client, by one connection.
#[derive(Clone, Debug, Default)]
pub struct HookPass {
    /// The application that it may join.
    pub(super) joined: Option<AppId>,
    /// What is asked, and the question's number, ...
    pub(super) asked: Option<(HookEvent, u32)>,
    /// ... of which application, ...
    pub(super) app: Option<AppId>,
    /// ... of which stream, ...
    pub path: StreamPath,
    /// ... and what was said to it.
    pub(super) said: Option<HookSaid>,
    /// It may play that.
    pub(super) plays: bool,
}

impl HookPass {
    /// Whether that was said already.
    pub(super) fn has(&self, event: HookEvent, app: AppId, path: &StreamPath) -> bool {
        match event {
            HookEvent::Connect => self.joined == Some(app),
            _ => self.plays && self.app == Some(app) && self.path == *path,
        }
    }

    /// What was said to that question; `None` when it is not asked or not answered. Asking takes the answer.
    pub(super) fn take(&mut self, event: HookEvent, app: AppId, path: &StreamPath) -> Option<HookSaid> {
        let is_it = self.asks(event, app, path);
        let said = self.said.take_if(|_| is_it)?;
        self.asked = None;
        match (said, event) {
            (HookSaid::Yes, HookEvent::Connect) => self.joined = Some(app),
            (HookSaid::Yes, _) => self.plays = true,
            _ => {}
        }
        Some(said)
    }

    /// Whether that is asked.
    pub(super) fn asks(&self, event: HookEvent, app: AppId, path: &StreamPath) -> bool {
        self.asked.is_some_and(|(asked, _)| asked == event) && self.app == Some(app) && self.path == *path
    }

    /// That is asked from now on.
    pub(super) fn ask(&mut self, (event, number): (HookEvent, u32), app: AppId, path: &StreamPath) {
        (self.asked, self.app, self.said, self.plays) = (Some((event, number)), Some(app), None, false);
        self.path.clone_from(path);
    }
}
