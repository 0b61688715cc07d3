// The frame: help, usage errors, suggestions, version, completion, output files, Ctrl-C.
#include "strata_process.h"

namespace strata::cli_test {
namespace {

using CommandLine = StrataTest;

const std::vector<std::string> all_verbs = {
    "train",    "init",   "inspect", "eval",       "classify", "translate",
    "bench",    "tune",   "profile", "qos",        "top",      "import",
    "compress", "export", "report",  "completion", "version"};

TEST_F(CommandLine, HelpNamesEveryVerbAndEveryVerbTeachesByExample) {
  const Outcome help = strata({"--help"});
  EXPECT_EQ(help.exit_code, 0);
  for (const std::string& verb : all_verbs) {
    EXPECT_NE(help.out.find("\n  " + verb + " "), std::string::npos) << verb;
    const Outcome verb_help = strata({verb, "--help"});
    EXPECT_EQ(verb_help.exit_code, 0) << verb;
    EXPECT_NE(verb_help.out.find("Examples:\n  strata " + verb), std::string::npos)
        << verb_help.out;
    EXPECT_NE(verb_help.out.find("--json"), std::string::npos) << verb;
    EXPECT_NE(verb_help.out.find("--quiet"), std::string::npos) << verb;
  }
}

TEST_F(CommandLine, WrongUsageIsOneSentenceWithAGuess) {
  expect_error(strata({}), {"no verb"}, 2);
  expect_error(strata({"inspct"}), {"unknown verb 'inspct'", "'inspect'"}, 2);
  expect_error(strata({"inspect", "x", "--layrs"}), {"'--layrs'", "'--layers'"}, 2);
  expect_error(strata({"--vresion"}), {"'--vresion'", "'--version'"}, 2);
  expect_error(strata({"inspect"}), {"FILE", "strata inspect --help"}, 2);
  expect_error(strata({"inspect", "a", "b"}), {"'b'"}, 2);
  expect_error(strata({"bench", "x", "--threads", "many"}), {"--threads"}, 2);
  expect_error(strata({"completion", "tcsh"}), {"tcsh"}, 2);
}

TEST_F(CommandLine, InitRefusesFiguresThatMakeNoSense) {
  const auto init = [this](const std::vector<std::string>& more) {
    std::vector<std::string> words = {"init", "resnet8", "-o", "x.strata"};
    words.insert(words.end(), more.begin(), more.end());
    return strata(words);
  };
  expect_error(init({}), {"--level-weights"}, 2);
  expect_error(init({"--level-weights", "20,5"}), {"grow"}, 2);
  expect_error(init({"--level-weights", "5,101"}), {"101"}, 2);
  expect_error(init({"--level-weights", "5,20", "--level-flops", "5"}), {"--level-flops"}, 2);
  expect_error(init({"--level-weights", "5", "--input", "3by3"}), {"'3by3'", "1x3x224x224"}, 2);
  expect_error(init({"--level-weights", "5", "--input", "8x3x32x32"}), {"batch"}, 2);
  expect_error(init({"--level-weights", "5", "--values", "f64"}), {"f64"}, 2);
  expect_error(init({"--level-weights", "5", "--allocation", "fair"}), {"fair", "erk"});
  expect_error(strata({"init", "resnet9", "--level-weights", "5", "-o", "x.strata"}),
               {"resnet9", "resnet8"});
  EXPECT_FALSE(std::filesystem::exists(folder() / "x.strata"));
}

TEST_F(CommandLine, VersionSaysWhatWasBuilt) {
  const Outcome text = strata({"version"});
  EXPECT_EQ(text.exit_code, 0);
  EXPECT_EQ(text.out.rfind("strata ", 0), 0U);
  EXPECT_EQ(strata({"--version"}).out, text.out);
  const nlohmann::json json = strata_json({"version"});
  EXPECT_EQ(json["schema"], 1);
  EXPECT_EQ(json["verb"], "version");
  EXPECT_TRUE(json["build"].contains("compiler"));
}

TEST_F(CommandLine, CompletionKnowsEveryVerbAndItsFlagsAndShellsAcceptIt) {
  for (const std::string shell : {"bash", "zsh", "fish"}) {
    const Outcome script = strata({"completion", shell});
    EXPECT_EQ(script.exit_code, 0);
    for (const std::string& verb : all_verbs) {
      EXPECT_NE(script.out.find(verb), std::string::npos) << shell << ' ' << verb;
    }
    EXPECT_NE(script.out.find("switch-points"), std::string::npos) << shell;
  }
  write_text(folder() / "completion.bash", strata({"completion", "bash"}).out);
  const Outcome completed =
      run_program(folder(), "bash",
                  {"-c",
                   "source ./completion.bash; COMP_WORDS=(strata ev); COMP_CWORD=1; _strata; "
                   "echo ${COMPREPLY[@]}; COMP_WORDS=(strata eval --sw); COMP_CWORD=2; _strata; "
                   "echo ${COMPREPLY[@]}"});
  EXPECT_EQ(completed.out, "eval\n--switch-points\n") << completed.err;
}

TEST_F(CommandLine, NeverWritesOverAnInputNorIntoNowhere) {
  make_model("m.strata");
  const std::string before = read("m.strata");
  expect_error(strata({"export", "m.strata", "--level", "0", "-o", "m.strata"}), {"input"});
  std::filesystem::create_symlink("m.strata", folder() / "link");
  expect_error(strata({"export", "m.strata", "--level", "0", "-o", "link"}), {"input"});
  expect_error(strata({"report", "m.strata", "-o", "./m.strata"}), {"input"});
  expect_error(strata({"export", "m.strata", "--level", "0", "-o", "no/such/x.onnx"}),
               {"no/such", "does not exist"});
  expect_error(strata({"export", "m.strata", "--level", "0", "-o", "."}), {"folder"});
  EXPECT_EQ(read("m.strata"), before);
}

TEST_F(CommandLine, QuietSaysNothingOnSuccess) {
  const Outcome outcome = strata(
      {"init", "resnet8", "--level-weights", "10", "--input", "1x3x16x16", "-q", "-o", "m.strata"});
  EXPECT_EQ(outcome.exit_code, 0);
  EXPECT_EQ(outcome.out, "");
  EXPECT_EQ(outcome.err, "");
}

TEST_F(CommandLine, WhatIsNoTerminalGetsNoControlCodes) {
  make_model("m.strata");
  write_idx_data(folder() / "digits", 12, 3, 8);
  const std::vector<std::vector<std::string>> commands = {
      {"bench", "m.strata", "--threads", "1", "--runs", "200"},
      {"eval", "m.strata", "--data", "digits", "--switch-points"},
      {"inspect", "m.strata"}};
  for (const auto& words : commands) {
    const Outcome outcome = strata(words);
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
    for (const char code : {'\r', '\x1b', '\b'}) {
      EXPECT_EQ(outcome.err.find(code), std::string::npos) << words[0] << ": " << outcome.err;
      EXPECT_EQ(outcome.out.find(code), std::string::npos) << words[0] << ": " << outcome.out;
    }
  }
}

TEST_F(CommandLine, AResultThatCannotBeWrittenIsAnError) {
  make_model("m.strata");
  const Outcome outcome = run_program(
      folder(), "sh", {"-c", std::string(STRATA_BINARY) + " inspect m.strata >/dev/full"});
  expect_error(outcome, {"standard output"});
}

TEST_F(CommandLine, CtrlCEndsWithASentenceAndLeavesNothingBehind) {
  make_model("m.strata");
  RunOptions options;
  options.interrupt_after_ms = 500;
  const Outcome outcome = strata(
      {"bench", "m.strata", "--threads", "1", "--runs", "1000000", "-q", "-o", "b.json"}, options);
  expect_error(outcome, {"interrupted"}, 130);
  EXPECT_FALSE(std::filesystem::exists(folder() / "b.json"));
}

TEST_F(CommandLine, RecipeHelpExplainsTheKeys) {
  const Outcome outcome = strata({"train", "--help-recipe"});
  EXPECT_EQ(outcome.exit_code, 0);
  EXPECT_NE(outcome.out.find("lr"), std::string::npos);
}

}  // namespace
}  // namespace strata::cli_test
