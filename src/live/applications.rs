//! The table of applications. A directory is an application from the next connect on: what is not known is asked of the
//! disk, and what is known is asked about again every second. So is, for the log, whether anything is wrong with the files
//! of any.

use std::boxed::Box;

use heapless::String;

use crate::handles::AppId;
use crate::limits::APP_NAME_BYTES;
use crate::name::{DEFAULT_INSTANCE, StreamPath};
use crate::time::Millis;

use super::app::AppDefinition;
use super::jobs::{CHANGING_MS, Job};

/// How often the disk is asked whether an application is still what it was, in milliseconds.
pub const CHECK_MS: u64 = 1000;

/// What was last looked at longer ago is looked at before the next client joins, in milliseconds.
const STALE_MS: u64 = 2 * CHECK_MS;

/// Where applications come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AppSource {
    /// From the directories of a root: they come and go while the server runs.
    Directories,
    /// They are what they were at the start.
    Fixed,
}

/// Whether clients can join.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AppState {
    /// Its files are being read for the first time.
    Reading,
    /// They say what [`Application::definition`] says.
    Ready,
    /// They are wrong, and the log says how. Joined clients stay, under the last valid definition.
    Broken,
    /// The directory is gone, or is about to be: clients are leaving.
    Leaving,
}

/// Whether the disk is asked about something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asking {
    No,
    /// Its answer was that the files are being written, so it is asked again then, and not before.
    At(Millis),
    Due,
    Asked,
}

/// One application.
pub struct Application {
    /// First part of the path that clients connect to.
    pub name: String<APP_NAME_BYTES>,
    /// See [`AppState`].
    pub state: AppState,
    /// The last that was right, if there was one.
    pub definition: Option<Box<AppDefinition>>,
    /// Clients who have joined it.
    pub connected: u32,
    /// How many of its clients' net streams play recorded streams.
    pub recorded_players: u32,
    /// When its files were last looked at.
    checked: Millis,
    asking: Asking,
}

/// The table.
pub struct Applications {
    places: Box<[Option<Application>]>,
    source: AppSource,
    /// Whether the disk is to survey the files of all, and when it did last.
    survey: Asking,
    surveyed: Millis,
}

impl Applications {
    /// A table of `capacity` applications that holds `definitions`; what is beyond the capacity is read when a client
    /// connects to it, as place permits.
    pub fn new(definitions: Vec<AppDefinition>, source: AppSource, capacity: usize, now: Millis) -> Applications {
        let mut definitions = definitions.into_iter();
        let place = |_| {
            let definition = definitions.next()?;
            Some(Application {
                name: definition.name.clone(),
                state: AppState::Ready,
                definition: Some(Box::new(definition)),
                connected: 0,
                recorded_players: 0,
                checked: now,
                asking: Asking::No,
            })
        };
        Applications { places: (0..capacity).map(place).collect(), source, survey: Asking::No, surveyed: now }
    }

    /// Bytes of one place.
    pub fn place_bytes() -> usize {
        size_of::<Option<Application>>()
    }

    /// Where applications come from.
    pub fn source(&self) -> AppSource {
        self.source
    }

    /// The application called `name`.
    pub fn find(&self, name: &str) -> Option<AppId> {
        self.iter().find(|(_, app)| app.name == name).map(|(id, _)| id)
    }

    /// A place for an application whose files are to be read; `None` when every place is in use. When none is free it is
    /// that of an application which is not `in_use`.
    pub fn reserve(&mut self, name: &str, now: Millis, in_use: impl Fn(AppId) -> bool) -> Option<AppId> {
        let at = match self.places.iter().position(Option::is_none) {
            Some(free) => free,
            None => self.forgettable(in_use)?,
        };
        self.places[at] = Some(Application {
            // It fits: the session has checked it against the same limit.
            name: String::try_from(name).unwrap_or_default(),
            state: AppState::Reading,
            definition: None,
            connected: 0,
            recorded_players: 0,
            checked: now,
            asking: Asking::Due,
        });
        Some(AppId(at as u16))
    }

    /// One without clients that is not being asked about: it is read again for the next client.
    fn forgettable(&self, in_use: impl Fn(AppId) -> bool) -> Option<usize> {
        if self.source == AppSource::Fixed {
            return None;
        }
        let settled = |app: &Application| app.asking == Asking::No && app.state != AppState::Reading;
        let (id, _) = self.iter().find(|(id, app)| settled(app) && !in_use(*id))?;
        Some(usize::from(id.0))
    }

    /// An application, if it is still there.
    pub fn app(&self, id: AppId) -> Option<&Application> {
        self.places[usize::from(id.0)].as_ref()
    }

    /// An application, to change.
    pub fn app_mut(&mut self, id: AppId) -> Option<&mut Application> {
        self.places[usize::from(id.0)].as_mut()
    }

    /// What holds in an application.
    pub fn definition(&self, id: AppId) -> Option<&AppDefinition> {
        self.app(id)?.definition.as_deref()
    }

    /// The same, but nothing when it is going: what is done in its name ends.
    pub fn staying(&self, id: AppId) -> Option<&AppDefinition> {
        self.app(id).filter(|app| app.state != AppState::Leaving)?.definition.as_deref()
    }

    /// The path of a stream of its default instance, by that stream's name; `None` for what can be none.
    pub fn path(&self, id: AppId, name: &str) -> Option<StreamPath> {
        self.definition(id)?.path(DEFAULT_INSTANCE, name).ok()
    }

    /// Its name; empty when it is gone.
    pub fn name(&self, id: AppId) -> &str {
        self.app(id).map_or("", |app| &app.name)
    }

    /// Every application in the table.
    pub fn iter(&self) -> impl Iterator<Item = (AppId, &Application)> {
        self.places.iter().enumerate().filter_map(|(at, place)| Some((AppId(at as u16), place.as_ref()?)))
    }

    /// The application's files were not read for a while: there was no client, or the disk does not answer.
    pub fn is_stale(&self, id: AppId, now: Millis) -> bool {
        let old = self.app(id).is_some_and(|app| now.since(app.checked) >= STALE_MS);
        self.source == AppSource::Directories && old
    }

    /// A client wants to join: the disk is to be asked now.
    pub fn ask(&mut self, id: AppId) {
        if let Some(app) = self.app_mut(id)
            && app.asking == Asking::No
        {
            app.asking = Asking::Due;
        }
    }

    /// Makes jobs due of applications that were last looked at long ago.
    pub fn check(&mut self, now: Millis) {
        if self.source == AppSource::Fixed {
            return;
        }
        for app in self.places.iter_mut().flatten() {
            let due = match app.asking {
                Asking::No => now.since(app.checked) >= CHECK_MS && app.state != AppState::Leaving,
                Asking::At(at) => now >= at,
                Asking::Due | Asking::Asked => false,
            };
            if due {
                app.asking = Asking::Due;
            }
        }
        if self.survey == Asking::No && now.since(self.surveyed) >= CHECK_MS {
            self.survey = Asking::Due;
        }
    }

    /// When [`Applications::check`] has something to do, as far as nothing else happens before.
    pub fn next_check(&self) -> Option<Millis> {
        let next = |asking, checked: Millis| match asking {
            Asking::No => Some(checked + CHECK_MS),
            Asking::At(at) => Some(at),
            Asking::Due | Asking::Asked => None,
        };
        let staying = self.places.iter().flatten().filter(|app| app.state != AppState::Leaving);
        let apps = staying.map(|app| next(app.asking, app.checked));
        let all = apps.chain([next(self.survey, self.surveyed)]).flatten();
        if self.source == AppSource::Fixed { None } else { all.min() }
    }

    /// The survey, if it is due; asking takes it.
    pub fn next_survey(&mut self) -> Option<Job> {
        (self.survey == Asking::Due).then(|| {
            self.survey = Asking::Asked;
            Job::Survey
        })
    }

    /// The next application to look up; asking takes it.
    pub fn next_look_up(&mut self) -> Option<Job> {
        let app = self.places.iter_mut().flatten().find(|app| app.asking == Asking::Due)?;
        app.asking = Asking::Asked;
        // An application that clients wait for needs its whole definition: "unchanged" would not let them in.
        let known = app.definition.as_deref().filter(|_| app.state == AppState::Ready);
        Some(Job::App { name: app.name.clone(), stamp: known.map(|definition| definition.stamp) })
    }

    /// The disk has answered about an application.
    pub fn answered(&mut self, name: &str, now: Millis) -> Option<AppId> {
        let id = self.find(name)?;
        let app = self.app_mut(id)?;
        (app.asking, app.checked) = (Asking::No, now);
        Some(id)
    }

    /// The disk has answered that the application's files are being written.
    pub fn ask_again(&mut self, id: AppId, now: Millis) {
        if let Some(app) = self.app_mut(id) {
            app.asking = Asking::At(now + CHANGING_MS);
        }
    }

    /// The disk has made its survey.
    pub fn surveyed(&mut self, now: Millis) {
        (self.survey, self.surveyed) = (Asking::No, now);
    }

    /// Gives the place back. Nothing may refer to it any more.
    pub fn remove(&mut self, id: AppId) {
        self.places[usize::from(id.0)] = None;
    }
}

#[cfg(test)]
mod tests {
    use super::super::app::AppKind;
    use super::*;

    fn name(text: &str) -> String<APP_NAME_BYTES> {
        String::try_from(text).unwrap()
    }

    fn asked(apps: &mut Applications) -> Vec<(std::string::String, Option<u64>)> {
        let job = || match apps.next_look_up()? {
            Job::App { name, stamp } => Some((name.to_string(), stamp)),
            _ => None,
        };
        core::iter::from_fn(job).collect()
    }

    #[test]
    fn the_disk_is_asked_once_about_each_and_again_after_a_while() {
        let live = AppDefinition { stamp: 7, ..AppDefinition::stock(name("live"), AppKind::Live) };
        let mut apps = Applications::new(vec![live], AppSource::Directories, 2, Millis(0));
        apps.check(Millis(CHECK_MS - 1));
        assert_eq!(asked(&mut apps), []);
        apps.check(Millis(CHECK_MS));
        assert_eq!(asked(&mut apps), [("live".to_owned(), Some(7))]);
        apps.check(Millis(9 * CHECK_MS));
        assert_eq!(asked(&mut apps), [], "it has not answered");
        assert!(apps.answered("live", Millis(9 * CHECK_MS)).is_some());
        let new = apps.reserve("new", Millis(0), |_| true).unwrap();
        apps.ask(new);
        assert_eq!(asked(&mut apps), [("new".to_owned(), None)], "and once for all who wait");
        assert!(apps.answered("other", Millis(0)).is_none());
    }

    #[test]
    fn a_full_table_forgets_what_nobody_uses_and_nothing_that_is_fixed() {
        let definitions = || vec![AppDefinition::stock(name("a"), AppKind::Live)];
        let mut apps = Applications::new(definitions(), AppSource::Directories, 1, Millis(0));
        let b = apps.reserve("b", Millis(0), |_| false).unwrap();
        assert_eq!((apps.find("a"), apps.name(b)), (None, "b"));
        assert_eq!(apps.reserve("c", Millis(0), |_| false), None, "b is being read");
        let mut apps = Applications::new(definitions(), AppSource::Fixed, 1, Millis(0));
        assert_eq!(apps.reserve("b", Millis(0), |_| false), None);
        apps.check(Millis(1 << 40));
        assert_eq!(asked(&mut apps), []);
    }
}
