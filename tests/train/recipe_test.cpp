// The recipe language: defaults, overrides, and what it says about mistakes.
#include "train/recipe.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "train/error.h"

namespace strata::train {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::StartsWith;

Recipe parse(std::string_view text, const std::vector<std::string>& overrides = {}) {
  return parse_recipe(text, "r.toml", overrides);
}

std::string error_of(std::string_view text, const std::vector<std::string>& overrides = {}) {
  try {
    (void)parse(text, overrides);
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

TEST(Recipe, EmptyTextGivesTheDefaults) {
  const Recipe recipe = parse("");
  EXPECT_EQ(to_toml(recipe), to_toml(Recipe()));
  EXPECT_EQ(recipe.levels.weights, (std::vector<double>{5.3, 13.3, 30.0}));
}

TEST(Recipe, ReadsEveryTypeOfValue) {
  const Recipe recipe = parse(R"(
seed = 7
[model]
arch = "resnet18-small"
input = "1x28x28"
keep_ends_dense = false
[data]
augment.crop_padding = 2
[levels]
weights = [10, 50.5]
flops = [20.0, 60.0]
allocation = "erk"
[optimizer]
kind = "adam"
lr = 1
[algorithm.grow]
rho = 0.01
)");
  EXPECT_EQ(recipe.seed, 7);
  EXPECT_EQ(recipe.model.arch, "resnet18-small");
  EXPECT_EQ(recipe.model.input, "1x28x28");
  EXPECT_FALSE(recipe.model.keep_ends_dense);
  EXPECT_EQ(recipe.data.augment.crop_padding, 2);
  EXPECT_EQ(recipe.levels.weights, (std::vector<double>{10, 50.5}));
  EXPECT_EQ(recipe.levels.flops, (std::vector<double>{20, 60}));
  EXPECT_EQ(recipe.levels.allocation, sparse::AllocationMethod::kErdosRenyiKernel);
  EXPECT_EQ(recipe.optimizer.kind, OptimizerKind::kAdam);
  EXPECT_EQ(recipe.optimizer.lr, 1.0);
  EXPECT_EQ(recipe.algorithm.grow.rho, 0.01);
}

// The table casts numbers to enumerations, so every name is tried against its enumerator.
TEST(Recipe, ChoiceNamesMatchTheirEnumerators) {
  const auto with = [](const std::string& setting) { return parse("", {setting}); };
  EXPECT_EQ(with("algorithm.kind=joint").algorithm.kind, AlgorithmKind::kJoint);
  EXPECT_EQ(with("algorithm.kind=grow").algorithm.kind, AlgorithmKind::kGrow);
  EXPECT_EQ(with("algorithm.kind=dense").algorithm.kind, AlgorithmKind::kDense);
  EXPECT_EQ(with("optimizer.kind=sgd").optimizer.kind, OptimizerKind::kSgd);
  EXPECT_EQ(with("optimizer.kind=adam").optimizer.kind, OptimizerKind::kAdam);
  EXPECT_EQ(with("optimizer.schedule=cosine").optimizer.schedule, ScheduleKind::kCosine);
  EXPECT_EQ(with("optimizer.schedule=step").optimizer.schedule, ScheduleKind::kStep);
  EXPECT_EQ(with("data.format=auto").data.format, DataFormat::kAuto);
  EXPECT_EQ(with("data.format=folder").data.format, DataFormat::kFolder);
  EXPECT_EQ(with("data.format=cifar10").data.format, DataFormat::kCifar10);
  EXPECT_EQ(with("data.format=idx").data.format, DataFormat::kIdx);
  using sparse::AllocationMethod;
  EXPECT_EQ(with("levels.allocation=uniform").levels.allocation, AllocationMethod::kUniform);
  EXPECT_EQ(with("levels.allocation=erk").levels.allocation, AllocationMethod::kErdosRenyiKernel);
  EXPECT_EQ(with("levels.allocation=global").levels.allocation, AllocationMethod::kGlobalMagnitude);
}

TEST(Recipe, OverridesWinOverTheFileAndTheLastWins) {
  const Recipe recipe = parse("[optimizer]\nlr = 0.5\nepochs = 3\n",
                              {"optimizer.lr=0.25", "optimizer.lr=0.125", "data.dir=some where"});
  EXPECT_EQ(recipe.optimizer.lr, 0.125);
  EXPECT_EQ(recipe.optimizer.epochs, 3);
  EXPECT_EQ(recipe.data.dir, "some where");
}

TEST(Recipe, OverrideTextNeedsNoQuotesEvenIfItLooksLikeSomethingElse) {
  EXPECT_EQ(parse("", {"data.dir=2024"}).data.dir, "2024");
  EXPECT_EQ(parse("", {"data.dir=2024-01-01"}).data.dir, "2024-01-01");
  EXPECT_EQ(parse("", {"data.dir='a b'"}).data.dir, "a b");
  EXPECT_EQ(parse("", {"data.dir=a=b"}).data.dir, "a=b");
  EXPECT_EQ(parse("", {"levels.weights=[1, 2.5]"}).levels.weights, (std::vector<double>{1, 2.5}));
}

TEST(Recipe, UnknownKeySuggestsTheNearest) {
  EXPECT_EQ(error_of("\n[optimizer]\nmomentun = 0.9\n"),
            "r.toml:3: unknown key 'optimizer.momentun'; did you mean 'optimizer.momentum'?");
  EXPECT_THAT(error_of("lr = 0.1\n"), HasSubstr("did you mean 'optimizer.lr'?"));
  EXPECT_THAT(error_of("[optimiser]\nlr = 0.1\n"),
              HasSubstr("unknown section 'optimiser'; did you mean 'optimizer'?"));
  EXPECT_THAT(error_of("[algorithm]\nrho = 0.1\n"), HasSubstr("'algorithm.grow.rho'?"));
  EXPECT_EQ(error_of("elephants = 3\n"),
            "r.toml:1: unknown key 'elephants'; `strata train --help-recipe` lists the keys");
}

TEST(Recipe, WrongTypesNameFileLineKeyAndExpectation) {
  EXPECT_EQ(error_of("[optimizer]\nlr = \"fast\"\n"),
            "r.toml:2: 'optimizer.lr' is text; expected a number in 0 .. 100");
  EXPECT_EQ(error_of("[optimizer]\nbatch_size = 1.5\n"),
            "r.toml:2: 'optimizer.batch_size' is a number; expected an integer in 1 .. 65536");
  EXPECT_EQ(error_of("[data]\nconvert = 1\n"),
            "r.toml:2: 'data.convert' is an integer; expected a boolean");
  EXPECT_EQ(error_of("[data]\ndir = 3\n"), "r.toml:2: 'data.dir' is an integer; expected text");
  EXPECT_EQ(error_of("[levels]\nweights = 5.3\n"),
            "r.toml:2: 'levels.weights' is a number; expected a list of numbers in 0.01 .. 100, "
            "such as [5.3, 13.3, 30.0]");
  EXPECT_THAT(error_of("[levels]\nweights = [5, \"x\"]\n"),
              HasSubstr("'levels.weights' holds text; expected a list of numbers"));
  EXPECT_EQ(error_of("optimizer = 3\n"),
            "r.toml:1: 'optimizer' is an integer; expected a section of keys");
  EXPECT_THAT(error_of("[seed]\nx = 1\n"), HasSubstr("'seed' is a section; expected an integer"));
  EXPECT_THAT(error_of("seed = 2024-01-01\n"), HasSubstr("'seed' is a date or time"));
}

TEST(Recipe, OutOfRangeShowsTheValueAndTheRange) {
  EXPECT_EQ(error_of("[optimizer]\nlr = -1\n"),
            "r.toml:2: 'optimizer.lr' is -1, out of range; expected a number in 0 .. 100");
  EXPECT_THAT(error_of("[optimizer]\nmomentum = 1.5\n"), HasSubstr("is 1.5, out of range"));
  EXPECT_THAT(error_of("[optimizer]\nlr = nan\n"), HasSubstr("is nan, out of range"));
  EXPECT_THAT(error_of("[optimizer]\nlr = inf\n"), HasSubstr("is inf, out of range"));
  EXPECT_THAT(error_of("[levels]\nweights = [0, 5]\n"), HasSubstr("is 0, out of range"));
  EXPECT_THAT(error_of("", {"optimizer.batch_size=0"}),
              StartsWith("--set optimizer.batch_size=0: 'optimizer.batch_size' is 0"));
}

TEST(Recipe, WrongChoiceListsThemAndSuggests) {
  EXPECT_EQ(error_of("[algorithm]\nkind = \"joined\"\n"),
            "r.toml:2: 'algorithm.kind' is \"joined\"; expected one of joint, grow, dense (did you "
            "mean 'joint'?)");
}

TEST(Recipe, OverridesOfTheWrongFormSayWhatWasExpected) {
  EXPECT_EQ(error_of("", {"optimizer.lr"}),
            "--set optimizer.lr: expected KEY=VALUE, such as optimizer.lr=0.05");
  EXPECT_EQ(error_of("", {"optimizer.lr=fast"}),
            "--set optimizer.lr=fast: 'optimizer.lr' is text; expected a number in 0 .. 100");
  EXPECT_THAT(error_of("", {"optimizer.ls=1"}), HasSubstr("did you mean 'optimizer.lr'?"));
  EXPECT_THAT(error_of("", {"seed=1\nthreads=2"}), HasSubstr("'seed' is text"));
}

TEST(Recipe, WhatSpansSeveralKeysIsChecked) {
  EXPECT_EQ(error_of("[levels]\nweights = [13.3, 5.3]\n"),
            "r.toml:2: 'levels.weights' is not ascending; expected the sparsest level first, each "
            "level larger than the last");
  EXPECT_THAT(error_of("[levels]\nweights = [5, 5]\n"), HasSubstr("not ascending"));
  EXPECT_THAT(error_of("[levels]\nweights = []\n"), HasSubstr("has 0 levels"));
  EXPECT_EQ(error_of("[levels]\nflops = [5]\n"),
            "r.toml:2: 'levels.flops' has 1 numbers for the 3 levels of 'levels.weights'");
  EXPECT_THAT(error_of("[algorithm.joint]\nprune_begin = 0.5\nprune_end = 0.4\n"),
              AllOf(StartsWith("r.toml:3:"), HasSubstr("comes before")));
  EXPECT_THAT(error_of("[algorithm.joint]\nprune_end = 0.9\n"),
              HasSubstr("'algorithm.joint.freeze' comes before 'algorithm.joint.prune_end'"));
  EXPECT_THAT(error_of("[optimizer]\nwarmup_epochs = 11\n"),
              HasSubstr("is more than 'optimizer.epochs'"));
  EXPECT_THAT(error_of("[model]\ninput = \"28x28\"\n"),
              AllOf(StartsWith("r.toml:2: 'model.input'"), HasSubstr("such as 3x32x32")));
}

TEST(Recipe, BrokenTomlNamesTheLine) {
  EXPECT_THAT(error_of("seed = 1\nthreads = = 2\n"), StartsWith("r.toml:2: not valid TOML: "));
  EXPECT_THAT(error_of("seed = 1\nseed = 2\n"), StartsWith("r.toml:2: not valid TOML: "));
}

TEST(Recipe, MissingFileIsNamed) {
  try {
    (void)load_recipe("no/such/recipe.toml");
    FAIL();
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("cannot open the recipe 'no/such/recipe.toml'"));
  }
}

TEST(Recipe, TomlTextReadsBackToTheSameRecipe) {
  Recipe recipe;
  recipe.seed = 123456789012;
  recipe.data.dir = "quote \" backslash \\ tab \t café";
  recipe.data.augment.flip = true;
  recipe.optimizer.weight_decay = 1e-7;
  recipe.levels.weights = {1.0 / 3, 99.99};
  recipe.levels.allocation = sparse::AllocationMethod::kUniform;
  recipe.algorithm.kind = AlgorithmKind::kGrow;
  const Recipe again = parse(to_toml(recipe));
  EXPECT_EQ(to_toml(again), to_toml(recipe));
  EXPECT_EQ(again.data.dir, recipe.data.dir);
  EXPECT_EQ(again.optimizer.weight_decay, recipe.optimizer.weight_decay);
  EXPECT_EQ(again.levels.weights, recipe.levels.weights);
}

TEST(Recipe, EveryKeyIsDocumentedAndItsDefaultIsInRange) {
  std::vector<std::string> names;
  for (const KeyDescription& key : describe_recipe_keys()) {
    names.push_back(key.name);
    EXPECT_FALSE(key.doc.empty()) << key.name;
    EXPECT_TRUE(key.doc.ends_with('.')) << key.name;
    EXPECT_EQ(key.doc.find('|'), std::string::npos) << key.name << ": would break the table";
    EXPECT_THAT(recipe_help(), HasSubstr(key.doc.substr(0, 12))) << key.name;
  }
  std::sort(names.begin(), names.end());
  EXPECT_EQ(std::adjacent_find(names.begin(), names.end()), names.end());
  EXPECT_EQ(error_of(to_toml(Recipe())), "no error");
}

TEST(Recipe, EveryShippedRecipeIsValid) {
  int count = 0;
  for (const auto& entry :
       std::filesystem::directory_iterator(std::filesystem::path(STRATA_SOURCE_DIR) / "recipes")) {
    if (entry.path().extension() != ".toml") continue;
    EXPECT_NO_THROW((void)load_recipe(entry.path().string())) << entry.path();
    ++count;
  }
  EXPECT_GE(count, 4);
}

// STRATA_UPDATE_DOCS=1 rewrites the page instead.
TEST(Recipe, ReferencePageIsUpToDate) {
  const auto path = std::filesystem::path(STRATA_SOURCE_DIR) / "docs" / "recipes.md";
  if (std::getenv("STRATA_UPDATE_DOCS") != nullptr) std::ofstream(path) << recipe_reference();
  std::ifstream file(path);
  const std::string page((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  EXPECT_EQ(page, recipe_reference())
      << "run test_recipe with STRATA_UPDATE_DOCS=1 to regenerate docs/recipes.md";
}

}  // namespace
}  // namespace strata::train
