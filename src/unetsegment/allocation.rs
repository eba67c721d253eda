//! Answers to allocation queries from upstream.

/// Removes the crop meta from `query`, even if downstream supports it: frames that are larger than their caps can't be
/// segmented.
pub fn remove_crop(query: &mut gst::query::Allocation) {
    while let Some(index) = query.find_allocation_meta::<gst_video::VideoCropMeta>() {
        query.remove_nth_allocation_meta(index);
    }
}

/// Adds to `query` the `kept` buffers that the element holds at most: a source with too few would run out of them, and
/// stall.
pub fn add_kept(query: &mut gst::query::Allocation, kept: usize) {
    let kept = u32::try_from(kept).unwrap_or(u32::MAX);
    // Where frames are processed in place, downstream has said how many it holds.
    let pools: Vec<_> = query.allocation_pools().collect();
    let mut downstream = 0;
    let mut offered = false;
    for (pool, size, min, max) in pools {
        // Each is removed at the front; usable ones are added at the end.
        query.remove_nth_allocation_pool(0);
        let all = min.saturating_add(kept);
        // A pool that can't have that many is of no use.
        if max == 0 || all <= max {
            query.add_allocation_pool(pool.as_ref(), size, all, max);
            offered = true;
        }
        downstream = downstream.max(min);
    }
    let caps = query.get_owned().0;
    let info = caps.and_then(|caps| gst_video::VideoInfo::from_caps(&caps).ok());
    if let Some(size) = info.and_then(|info| u32::try_from(info.size()).ok())
        && !offered
    {
        let all = downstream.saturating_add(kept);
        query.add_allocation_pool(None::<&gst::BufferPool>, size, all, 0);
    }
}
