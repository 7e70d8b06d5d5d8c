//! The `dale` program: experiments in TOML, data sets, training, sampling, evaluation, reports.
//!
//! | module | idea |
//! |---|---|
//! | [`cli`] | the commands |
//! | [`actions`] | what the shorter commands do |
//! | [`config`] | an experiment, resolved from its file, a preset and `--set` |
//! | [`data`] | data sets: look-up, download, checksums, the drawn stand-in |
//! | [`loading`] | from the settings to a data set in memory, or to the stand-in |
//! | [`pixels`] | bytes, positive pixels and log pixels |
//! | [`run`] | a run's folder, its stages and their keys |
//! | [`training`] | the training loop and what belongs to it |
//! | [`model_show`] | a network, layer by layer |
//! | [`generate`] | sampling |
//! | [`evaluate`] | `cnn-fid` and KID beside three reference figures |
//! | [`judge`] | two sets of images compared, wherever they come from |
//! | [`mod@nearest`] | the training images nearest to generated ones |
//! | [`likelihood`] | bits per dimension, beside laws in closed form |
//! | [`levels`] | the network against the linear denoiser, by noise level |
//! | [`reproduce`] | the whole road, stage by stage |
//! | [`log`](mod@log) | the log in a run's folder |
//! | [`manifest`] | where results come from |
//! | [`sweep`] | an experiment once for every cell of a `[sweep]` table |
//! | [`arrays`] | images as `.npz` |
//! | [`compare`] | samplers side by side on the same weights |
//! | [`figures`] | the pictures and the page of a run |
//! | [`report`] | PNG grids, charts, tables and pages, knowing nothing of networks |
//! | [`dales_law`] | excitatory and inhibitory units learn by gradient descent and by EGD |
//! | [`theory`] | the identities behind it all, each computed twice |
//! | [`paper`] | the paper's figures, from shipped weights |
//! | [`orders`] | the order of every sampler, measured |
//! | [`export`] | what ships of a finished run |
//! | [`recheck`] | shipped numbers, computed again |
//! | [`tensorboard`] | event files for TensorBoard |
//! | [`features`] | training the classifier behind `cnn-fid` |
//! | [`chart`] | charts that a script describes |
//! | [`bench_step`] | the time of a training step |
//! | [`gpu_check`] | correctness, speed and quality on a GPU |
//! | [`doctor`] | what this machine has |
//! | [`progress`] | bars and log lines |
//! | [`session`] | device, data search, Ctrl-C |

pub mod actions;
pub mod arrays;
pub mod bench_step;
pub mod chart;
pub mod cli;
pub mod compare;
pub mod config;
pub mod dales_law;
pub mod data;
pub mod doctor;
pub mod evaluate;
pub mod export;
pub mod extractor;
pub mod features;
pub mod figures;
pub mod generate;
pub mod gpu_check;
pub mod judge;
pub mod levels;
pub mod likelihood;
pub mod loading;
pub mod log;
pub mod manifest;
pub mod model_show;
pub mod nearest;
pub mod orders;
pub mod paper;
pub mod pixels;
pub mod progress;
pub mod recheck;
pub mod report;
pub mod reproduce;
pub mod run;
pub mod session;
pub mod sweep;
pub mod tensorboard;
pub mod theory;
pub mod training;
pub mod unfinished;
