// strata completion: shell completion, written from the declared verbs and options themselves, so
// that it cannot go stale.
#include <string>
#include <vector>

#include "tools/strata/verb.h"

namespace strata::cli {
namespace {

struct Flag {
  std::string name;  ///< "--json", "-o"
  std::string description;
  bool takes_value = false;
};

struct VerbWords {
  std::string name;
  std::string description;
  std::vector<Flag> flags;
};

std::vector<Flag> flags_of(const CLI::App& app) {
  std::vector<Flag> flags;
  for (const CLI::Option* option : app.get_options()) {
    const bool takes_value = option->get_type_size() != 0;
    for (const std::string& name : option->get_lnames()) {
      flags.push_back({"--" + name, option->get_description(), takes_value});
    }
    for (const std::string& name : option->get_snames()) {
      flags.push_back({"-" + name, option->get_description(), takes_value});
    }
  }
  return flags;
}

std::vector<VerbWords> words_of(const CLI::App& root) {
  std::vector<VerbWords> words;
  for (const CLI::App* verb : root.get_subcommands([](const CLI::App*) { return true; })) {
    words.push_back({verb->get_name(), verb->get_description(), flags_of(*verb)});
  }
  return words;
}

/// Text inside single quotes, for any of the three shells.
std::string quoted(const std::string& text, const std::string& apostrophe) {
  std::string out = "'";
  for (const char c : text) {
    if (c == '\'') {
      out += apostrophe;
    } else {
      out += c;
    }
  }
  return out + "'";
}

std::string bash_script(const std::vector<VerbWords>& verbs) {
  std::string names;
  std::string cases;
  for (const VerbWords& verb : verbs) {
    names += (names.empty() ? "" : " ") + verb.name;
    cases += "    " + verb.name + ") words='";
    for (size_t i = 0; i < verb.flags.size(); ++i) cases += (i ? " " : "") + verb.flags[i].name;
    cases += "' ;;\n";
  }
  return "# bash completion of strata; try it with: eval \"$(strata completion bash)\"\n"
         "_strata() {\n"
         "  local current=${COMP_WORDS[COMP_CWORD]} words=''\n"
         "  COMPREPLY=()\n"
         "  if [[ $COMP_CWORD -eq 1 ]]; then\n"
         "    COMPREPLY=($(compgen -W '" +
         names +
         " --help --version' -- \"$current\"))\n"
         "    return\n"
         "  fi\n"
         "  case ${COMP_WORDS[1]} in\n" +
         cases +
         "  esac\n"
         "  if [[ $current == -* ]]; then\n"
         "    COMPREPLY=($(compgen -W \"$words\" -- \"$current\"))\n"
         "  elif [[ ${COMP_WORDS[1]} == completion ]]; then\n"
         "    COMPREPLY=($(compgen -W 'bash zsh fish' -- \"$current\"))\n"
         "  fi\n"
         "}\n"
         "complete -o default -F _strata strata\n";
}

std::string zsh_script(const std::vector<VerbWords>& verbs) {
  // Inside a specification of _arguments, brackets and colons have a meaning of their own.
  const auto escaped = [](const std::string& text) {
    std::string out;
    for (const char c : text) {
      if (c == '[' || c == ']' || c == ':' || c == '\\') out += '\\';
      out += c;
    }
    return out;
  };
  std::string script =
      "#compdef strata\n"
      "# zsh completion of strata; put it into a folder of $fpath as _strata\n"
      "_strata() {\n"
      "  local -a verbs\n"
      "  verbs=(\n";
  for (const VerbWords& verb : verbs) {
    script += "    " + quoted(verb.name + ":" + escaped(verb.description), "'\\''") + "\n";
  }
  script +=
      "  )\n"
      "  if (( CURRENT == 2 )); then\n"
      "    _describe 'verb' verbs\n"
      "    return\n"
      "  fi\n"
      "  local verb=$words[2]\n"
      "  shift words\n"
      "  (( CURRENT-- ))\n"
      "  case $verb in\n";
  for (const VerbWords& verb : verbs) {
    script += "    " + verb.name + ")\n      _arguments";
    for (const Flag& flag : verb.flags) {
      const std::string spec = flag.name + "[" + escaped(flag.description) + "]" +
                               (flag.takes_value ? ":value:_files" : "");
      script += " \\\n        " + quoted(spec, "'\\''");
    }
    const std::string rest =
        verb.name == "completion" ? "*:shell:(bash zsh fish)" : "*:file:_files";
    script += " \\\n        '" + rest + "'\n      ;;\n";
  }
  return script +
         "  esac\n"
         "}\n"
         "if [[ $funcstack[1] == _strata ]]; then\n"
         "  _strata \"$@\"\n"
         "else\n"
         "  compdef _strata strata\n"
         "fi\n";
}

std::string fish_script(const std::vector<VerbWords>& verbs) {
  std::string script =
      "# fish completion of strata; try it with: strata completion fish | source\n";
  for (const VerbWords& verb : verbs) {
    script += "complete -c strata -n __fish_use_subcommand -f -a " + verb.name + " -d " +
              quoted(verb.description, "\\'") + "\n";
  }
  for (const VerbWords& verb : verbs) {
    for (const Flag& flag : verb.flags) {
      const bool is_long = flag.name.starts_with("--");
      script += "complete -c strata -n '__fish_seen_subcommand_from " + verb.name + "' " +
                (is_long ? "-l " + flag.name.substr(2) : "-s " + flag.name.substr(1)) +
                (flag.takes_value ? " -r" : "") + " -d " + quoted(flag.description, "\\'") + "\n";
    }
  }
  return script +
         "complete -c strata -n '__fish_seen_subcommand_from completion' -f -a 'bash zsh fish'\n";
}

class CompletionVerb : public Verb {
 public:
  explicit CompletionVerb(const CLI::App& root)
      : Verb("completion", "Print the completion script of a shell",
             "  strata completion bash > ~/.local/share/bash-completion/completions/strata\n"
             "  strata completion zsh > ~/.zfunc/_strata\n"
             "  strata completion fish > ~/.config/fish/completions/strata.fish"),
        root_(root) {}

  void declare(CLI::App& app) override {
    app.add_option("SHELL", shell_, "bash, zsh or fish")
        ->required()
        ->check(CLI::IsMember({"bash", "zsh", "fish"}).description(""));
  }

  void run(const Console& console) override {
    const std::vector<VerbWords> words = words_of(root_);
    const std::string script = shell_ == "bash"  ? bash_script(words)
                               : shell_ == "zsh" ? zsh_script(words)
                                                 : fish_script(words);
    Json document = console.document();
    document["shell"] = shell_;
    document["script"] = script;
    console.result(document, script);
  }

 private:
  const CLI::App& root_;
  std::string shell_;
};

}  // namespace

std::unique_ptr<Verb> make_completion_verb(const CLI::App& root) {
  return std::make_unique<CompletionVerb>(root);
}

}  // namespace strata::cli
