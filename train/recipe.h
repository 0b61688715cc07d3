// A training recipe: everything that a run depends on besides the data, read from TOML. Every key
// is declared once, in recipe_keys.cpp, with its range and its documentation.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "sparse/allocation.h"

namespace strata::train {

enum class OptimizerKind : uint8_t { kSgd, kAdam };
enum class ScheduleKind : uint8_t { kCosine, kStep, kConstant };
enum class AlgorithmKind : uint8_t { kJoint, kGrow, kDense };
enum class DataFormat : uint8_t { kAuto, kFolder, kCifar10, kIdx };

/// Defaults are those of the recipe language. Member names are the keys.
struct Recipe {
  int64_t seed = 1;
  int64_t threads = 0;

  struct Model {
    std::string arch = "resnet20";
    int64_t width = 0;
    int64_t stem_stride = 0;
    std::string input;
    int64_t classes = 0;
    int64_t heads = 0;
    int64_t layers = 0;
    int64_t vocabulary = 0;
    bool share_embeddings = true;
    double dropout = 0.6;
    bool normals = false;
    bool keep_ends_dense = true;
    std::string start;
  } model;

  struct Data {
    std::string dir;
    DataFormat format = DataFormat::kAuto;
    bool convert = false;
    double holdout = 0.1;
    int64_t limit_train = 0;
    int64_t limit_test = 0;
    int64_t points = 0;
    std::string source = "en";
    std::string target = "de";
    std::string test = "test";
    int64_t max_length = 64;
    struct Augment {
      int64_t crop_padding = 0;
      bool flip = false;
      int64_t cutout = 0;
      double point_dropout = 0;
      bool rotate = false;
      double scale = 0;
      double shift = 0;
      double jitter = 0;
    } augment;
  } data;

  struct Levels {
    std::vector<double> weights = {5.3, 13.3, 30.0};
    std::vector<double> flops;
    sparse::AllocationMethod allocation = sparse::AllocationMethod::kGlobalMagnitude;
  } levels;

  struct Optimizer {
    OptimizerKind kind = OptimizerKind::kSgd;
    double lr = 0.1;
    double momentum = 0.9;
    bool nesterov = true;
    double weight_decay = 5e-4;
    double label_smoothing = 0;
    ScheduleKind schedule = ScheduleKind::kCosine;
    double warmup_epochs = 0;
    double step_epochs = 30;
    double step_factor = 0.1;
    int64_t batch_size = 128;
    double epochs = 10;
    double gradient_clip = 0;
  } optimizer;

  struct Algorithm {
    AlgorithmKind kind = AlgorithmKind::kJoint;
    struct Joint {
      double prune_begin = 0.1;
      double prune_end = 0.6;
      int64_t update_every = 50;
      double freeze = 0.75;
      double distill = 0.5;
      double temperature = 2;
      double taught_weight = 1;
      int64_t routes = 1;
    } joint;
    struct Grow {
      double dense_epochs = 2;
      double admm_epochs = 3;
      double rho = 1e-3;
      int64_t dual_update_every = 100;
      double retrain_epochs = 3;
    } grow;
  } algorithm;

  struct Checkpoint {
    int64_t every_seconds = 60;
    std::string path;
  } checkpoint;

  struct Eval {
    double every_epochs = 1;
    int64_t batch_size = 256;
    int64_t votes = 1;
    int64_t beam = 1;
  } eval;
};

/// Reads a recipe file, then applies overrides such as "optimizer.lr=0.05" (the value is TOML; a
/// bare word is taken as a string). Throws Error naming file, line, key and what was expected; an
/// unknown key's error suggests the nearest one.
Recipe load_recipe(const std::string& path, std::span<const std::string> overrides = {});

/// The same from text; `name` stands for the file in errors.
Recipe parse_recipe(std::string_view text, const std::string& name,
                    std::span<const std::string> overrides = {});

/// One key of the recipe language, as text for people.
struct KeyDescription {
  std::string name;  ///< "optimizer.lr"
  std::string type;  ///< "integer", "number", "boolean", "text", "list of numbers", "choice"
  std::string default_value;  ///< as in TOML
  std::string range;          ///< "0 .. 100", "sgd, adam"; empty: any
  std::string doc;
};
std::vector<KeyDescription> describe_recipe_keys();

/// What `strata train --help-recipe` prints.
std::string recipe_help();

/// docs/recipes.md.
std::string recipe_reference();

/// Every key with its value, as TOML that parse_recipe() reads back to the same recipe.
std::string to_toml(const Recipe& recipe);

}  // namespace strata::train
