//! The pages that the process's memory comes in.

/// Takes no huge pages, which the allocator asks for where the system lets it.
///
/// Of the 24 KB of buffers that a connection has, an idle one touches a page or two. In huge pages
/// all of them are resident: 35 KB for each such connection instead of 19. What the store itself does
/// is no faster with them.
#[cfg(target_os = "linux")]
pub(crate) fn take_small_ones() {
    // Where that is refused, memory is all there is to lose.
    let _ = rustix::thread::disable_transparent_huge_pages(true);
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn take_small_ones() {}
