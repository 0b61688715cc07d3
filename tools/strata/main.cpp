// The command line of strata: finds the verb, lets it run, and turns every failure into one
// sentence on stderr and an exit code (0 done, 1 error, 2 wrong usage, 130 interrupted).
#include <cstdlib>
#include <exception>
#include <iostream>
#include <memory>
#include <new>
#include <string>
#include <vector>

#include "tools/strata/nearest.h"
#include "tools/strata/verb.h"

namespace strata::cli {
namespace {

constexpr int kExitError = 1;
constexpr int kExitUsage = 2;
constexpr int kExitInterrupted = 130;

constexpr const char* kDescription =
    "strata: sparse neural networks whose levels nest in one file\n\n"
    "One .strata file holds a network at several sparsity levels, level 0 the sparsest.\n"
    "Every level's weights are a part of the next one's, so the file is no larger than\n"
    "its least sparse level, and a running network can change level between two steps.";

constexpr const char* kExamples =
    "Examples:\n"
    "  strata init resnet50 --level-weights 5.38,13.38 -o r50.strata   a model to time\n"
    "  strata inspect r50.strata                                       what a file holds\n"
    "  strata bench r50.strata --threads 2 --vs libtorch               how fast it runs\n"
    "  strata train recipe.toml --data photos/ -o photos.strata        learn from images\n"
    "  strata compress model.onnx --levels 30,50 --data photos/ -o m.strata   nest your own\n"
    "  strata eval photos.strata --data photos/ --switch-points        how right it is\n"
    "  strata report --eval e.json --bench b.json -o report.html       pictures of it all\n\n"
    "'strata VERB --help' shows a verb's options, with examples.\n"
    "Exit codes: 0 done, 1 error (one sentence on stderr), 2 wrong usage.";

/// The flags that `app` knows, "--json" and the like.
std::vector<std::string> flags_of(const CLI::App& app) {
  std::vector<std::string> flags;
  for (const CLI::Option* option : app.get_options()) {
    for (const std::string& name : option->get_lnames()) flags.push_back("--" + name);
  }
  return flags;
}

/// What is wrong with the command line, in one line.
std::string describe(const CLI::ParseError& error, const CLI::App& root,
                     const std::vector<std::string>& verbs, const std::string& first) {
  const auto parsed = root.get_subcommands();
  if (parsed.empty()) {
    if (first.empty()) return "no verb is given; 'strata --help' lists them";
    if (first.starts_with('-')) {
      return "unknown option '" + first + "'" + did_you_mean(first, flags_of(root)) +
             "; 'strata --help' shows what there is";
    }
    return "unknown verb '" + first + "'" + did_you_mean(first, verbs) +
           "; 'strata --help' lists them";
  }
  const CLI::App& verb = *parsed.front();
  const std::string hint = "; see 'strata " + verb.get_name() + " --help'";
  for (const std::string& extra : verb.remaining()) {
    if (!extra.starts_with('-')) continue;
    const std::string flag = extra.substr(0, extra.find('='));
    std::string what = "unknown option '";
    what.append(flag).append("'").append(did_you_mean(flag, flags_of(verb))).append(hint);
    return what;
  }
  if (!verb.remaining().empty()) {
    return "unexpected argument '" + verb.remaining().front() + "'" + hint;
  }
  std::string what = error.what();
  what.erase(what.find_last_not_of(".\n ") + 1);
  return what + hint;
}

int run(int argc, char** argv) {
  CLI::App root{kDescription};
  root.name("strata");
  root.footer(kExamples);
  root.get_formatter()->column_width(36);
  root.get_formatter()->label("SUBCOMMAND", "VERB");
  root.get_formatter()->label("Subcommands", "Verbs");
  root.get_formatter()->label("OPTIONS", "options");
  root.get_formatter()->label("REQUIRED", "(required)");
  root.require_subcommand(1);
  root.option_defaults()->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
  root.set_help_flag("-h,--help", "Show this help");
  bool wants_version = false;
  root.add_flag("--version", wants_version, "Show the version, like 'strata version'");

  Console console;
  console.command_line = "strata";
  if (argc > 1) console.command_line += " " + shell_quote(argc - 1, argv + 1);

  const std::vector<std::unique_ptr<Verb>> verbs = all_verbs(root);
  std::vector<std::string> names;
  for (const auto& verb : verbs) {
    CLI::App* app = root.add_subcommand(verb->name(), verb->summary());
    app->group("Verbs");
    app->set_help_flag("-h,--help", "Show this help");
    verb->declare(*app);
    app->add_flag("--json", console.json, "Print the result as JSON, and nothing else, on stdout");
    app->add_flag("-q,--quiet", console.quiet, "No progress and no remarks on stderr");
    app->footer("Examples:\n" + verb->examples());
    names.push_back(verb->name());
  }
  if (argc == 2 && std::string(argv[1]) == "--version") {
    console.verb = "version";
    make_version_verb()->run(console);
    return EXIT_SUCCESS;
  }

  try {
    root.parse(argc, argv);
  } catch (const CLI::Success& success) {
    return root.exit(success);  // prints the help
  } catch (const CLI::ParseError& error) {
    throw UsageError(describe(error, root, names, argc > 1 ? argv[1] : ""));
  }
  console.verb = root.get_subcommands().front()->get_name();
  for (const auto& verb : verbs) {
    if (verb->name() == console.verb) verb->run(console);
  }
  return EXIT_SUCCESS;
}

int fail(const char* what, int code) {
  std::cerr << "strata: " << what << '\n';
  return code;
}

}  // namespace

std::vector<std::unique_ptr<Verb>> all_verbs(const CLI::App& root) {
  std::vector<std::unique_ptr<Verb>> verbs;
  verbs.push_back(make_train_verb());
  verbs.push_back(make_init_verb());
  verbs.push_back(make_inspect_verb());
  verbs.push_back(make_eval_verb());
  verbs.push_back(make_classify_verb());
  verbs.push_back(make_translate_verb());
  verbs.push_back(make_bench_verb());
  verbs.push_back(make_tune_verb());
  verbs.push_back(make_profile_verb());
  verbs.push_back(make_qos_verb());
  verbs.push_back(make_top_verb());
  verbs.push_back(make_import_verb());
  verbs.push_back(make_compress_verb());
  verbs.push_back(make_convert_verb());
  verbs.push_back(make_export_verb());
  verbs.push_back(make_report_verb());
  verbs.push_back(make_completion_verb(root));
  verbs.push_back(make_version_verb());
  return verbs;
}

}  // namespace strata::cli

int main(int argc, char** argv) {
  using namespace strata::cli;
  try {
    catch_signals();
    return run(argc, argv);
  } catch (const Interrupted& interruption) {
    return fail(interruption.what(), kExitInterrupted);
  } catch (const UsageError& error) {
    return fail(error.what(), kExitUsage);
  } catch (const std::bad_alloc&) {
    return fail("there is not enough memory for this", kExitError);
  } catch (const std::exception& error) {
    return fail(error.what(), kExitError);
  }
}
