//! Real engines that replicate over loopback, through a proxy that breaks what it carries.

mod joining;
mod link;
mod member;
mod promotion;
mod streaming;
