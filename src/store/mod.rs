//! What the disk threads do: a job comes in, what came of it goes out. Clients who join wait for [`LookUps`], those who play
//! recorded streams for [`RecordedFiles`]; whatever may take longer is done by [`Bulk`]. Of files only what has settled is believed ([`settle`]).
//!
//! Nothing here knows of threads or sockets: [`crate::net`] has those. Each lane has its own view of the files, so that a
//! disk that stalls for one stalls nothing for the other.

mod admin_key;
mod app_files;
mod apps_directory;
mod board_facts;
mod bulk;
mod by_app;
mod configuration;
mod look_ups;
pub mod recorded;
pub mod recordings;
mod script_texts;
mod secret_file;
pub mod settle;
mod shared;
#[cfg(test)]
mod test_root;
mod text_file;
mod users;

use std::sync::Arc;

use crate::config::Config;
use crate::limits::SCRIPT_CHECK_BYTES;

pub use admin_key::complete as complete_admin_key;
pub use apps_directory::{APPLICATIONS, AppsDirectory, ScriptCheck, list};
pub use bulk::{Bulk, Machine};
pub use configuration::{Options, ROOT_CONFIG, configuration, detected, wait_for_file};
pub use look_ups::LookUps;
pub use recorded::{FileStamp, FileStep, Files, RecordedDirectories, RecordedFiles};
pub use recordings::RecordingFiles;
pub use recordings::disk::RecordDisk;
pub use users::UsersFile;

use shared::Shared;

/// The stack in bytes of the thread of [`LookUps`]. Nothing takes more of it than an `app.toml` whose values are nested as
/// deep as they may be.
pub const LOOK_UPS_STACK_BYTES: usize = 192 * 1024;
/// The stack in bytes of the thread of [`RecordedFiles`]: paths, a log line, and what a file is while it is read take most of it.
pub const RECORDED_STACK_BYTES: usize = 96 * 1024;
/// The stack in bytes of the thread of [`RecordingFiles`]: a finisher of MP4 files, before it has its place, takes most of it.
pub const RECORDINGS_STACK_BYTES: usize = 160 * 1024;
/// The stack in bytes of the thread of [`Bulk`]: files of the same kind.
pub const BULK_STACK_BYTES: usize = LOOK_UPS_STACK_BYTES;
/// The files of one application while they are read, in bytes: the longest script with all the stream keys that there can
/// be takes 414 KiB.
const FILES_BYTES: usize = 448 * 1024;
/// What the thread of [`LookUps`] may take, in bytes.
pub const LOOK_UPS_BYTES: usize = LOOK_UPS_STACK_BYTES + FILES_BYTES;
/// What the thread of [`Bulk`] may take, in bytes, with the engine that scripts are compiled in, one at a time, in a process that
/// is there for no longer.
pub const BULK_BYTES: usize = BULK_STACK_BYTES + FILES_BYTES + SCRIPT_CHECK_BYTES;

/// All lanes, beginning with the configuration that the server started with; recordings go to `disk`.
pub fn open<D: RecordDisk>(
    options: Options,
    config: Config,
    level_is_fixed: bool,
    machine: Machine,
    disk: D,
) -> (LookUps, RecordedFiles<RecordedDirectories>, Bulk, RecordingFiles<D>) {
    let (applications, places) = (apps_directory::directory(&config), config.settings.recorded_players as usize);
    let recordings = config.settings.recordings as usize;
    let shared = Arc::new(Shared::new(config));
    let look_ups = LookUps::new(AppsDirectory::sharing(shared.clone()));
    let recorded = RecordedFiles::new(RecordedDirectories::new(applications.clone(), shared.clone()), places);
    let recordings = RecordingFiles::sharing(disk, applications, shared.clone(), recordings);
    (look_ups, recorded, Bulk::new(options, level_is_fixed, machine, shared), recordings)
}
