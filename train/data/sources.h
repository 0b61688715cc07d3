// The formats behind load(), one file each, and the parser of CIFAR-10 records. Internal to
// train/data.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>

#include "train/data/dataset.h"

namespace strata::data {

/// Does the directory hold files of this format?
bool is_cifar10(const std::filesystem::path& directory);
bool is_idx(const std::filesystem::path& directory);

/// The whole split as it is stored; load() applies the rest of LoadOptions.
Dataset load_cifar10(const std::filesystem::path& directory, Split split);
Dataset load_idx(const std::filesystem::path& directory, Split split);

/// With every option applied, as only the images that are wanted get decoded.
Dataset load_folder(const std::filesystem::path& directory, Split split,
                    const LoadOptions& options);

/// Appends records of one label byte and 3x32x32 pixels; `dataset` has its classes. `name` stands
/// for the file in errors. Throws Error: length, label out of range.
void append_cifar10(std::span<const uint8_t> bytes, const std::string& name, Dataset& dataset);

/// Sizes `dataset.pixels` for its count and shape. Throws Error if that exceeds the machine's
/// memory.
void allocate_pixels(Dataset& dataset);

/// The directory's own name, for people.
std::string directory_name(const std::filesystem::path& directory);

}  // namespace strata::data
