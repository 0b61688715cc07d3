// The formats behind load_point_clouds(). Internal to train/data.
#pragma once

#include <filesystem>
#include <vector>

#include "train/data/point_cloud.h"

namespace strata::data {

/// Appends the clouds of one HDF5 file; `clouds` has its classes (empty: any label from 0), points
/// and normals. Without `labelled` the file's labels are not looked at. Throws Error.
void append_hdf5_clouds(const std::filesystem::path& path, PointClouds& clouds, bool labelled);

}  // namespace strata::data
