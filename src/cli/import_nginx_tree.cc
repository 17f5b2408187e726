#include "cli/import_nginx_tree.h"

#include <fmt/format.h>
#include <glob.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <utility>

#include "core/config_load.h"

namespace ub {
namespace {

constexpr int kMaxBlocks = 64;
constexpr int kMaxIncludes = 16;
constexpr size_t kMaxBytes = 16u << 20;
constexpr size_t kMaxFiles = 4096;
constexpr size_t kMaxDirectives = 200'000;

bool IsBlank(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }

struct Token {
  enum class Kind { kWord, kSemicolon, kOpen, kClose, kEnd };
  Kind kind = Kind::kEnd;
  std::string text;
  SourcePosition at;
};

class Lexer {
 public:
  Lexer(std::string_view text, const std::string& file)
      : text_(text), file_(std::make_shared<const std::string>(file)) {}

  // `fault` is set where a quote has no end.
  Token Next(std::string* fault);
  // Skips the code of a block whose "{" was just taken: to its "}". False: it has none.
  bool SkipCode();

 private:
  bool done() const { return at_ >= text_.size(); }
  char Take() {
    const char c = text_[at_++];
    if (c == '\n') {
      ++line_;
      line_start_ = at_;
    }
    return c;
  }
  SourcePosition Here() const {
    return {file_, line_, static_cast<uint32_t>(at_ - line_start_ + 1)};
  }
  void SkipBlanks();
  void TakeQuoted(Token* token, std::string* fault);
  void TakeEscaped(std::string* out);

  std::string_view text_;
  std::shared_ptr<const std::string> file_;
  size_t at_ = 0, line_start_ = 0;
  uint32_t line_ = 1;
};

void Lexer::SkipBlanks() {
  while (!done()) {
    if (text_[at_] == '#') {
      while (!done() && text_[at_] != '\n') ++at_;
    } else if (IsBlank(text_[at_])) {
      Take();
    } else {
      return;
    }
  }
}

// Behind a backslash: quotes and blanks lose it, other characters keep it (regular expressions).
void Lexer::TakeEscaped(std::string* out) {
  if (done()) return;
  const char c = Take();
  if (c == 't' || c == 'n' || c == 'r') {
    *out += c == 't' ? '\t' : c == 'n' ? '\n' : '\r';
    return;
  }
  if (c != '"' && c != '\'' && c != '\\' && c != ' ') *out += '\\';
  *out += c;
}

void Lexer::TakeQuoted(Token* token, std::string* fault) {
  const char quote = Take();
  while (!done()) {
    const char c = Take();
    if (c == quote) return;
    if (c == '\\') {
      TakeEscaped(&token->text);
    } else {
      token->text += c;
    }
  }
  *fault = fmt::format("the quote {} has no end", quote);
}

Token Lexer::Next(std::string* fault) {
  SkipBlanks();
  Token token{Token::Kind::kEnd, {}, Here()};
  if (done()) return token;
  const char first = text_[at_];
  if (first == ';' || first == '{' || first == '}') {
    Take();
    token.kind = first == ';'   ? Token::Kind::kSemicolon
                 : first == '{' ? Token::Kind::kOpen
                                : Token::Kind::kClose;
    return token;
  }
  token.kind = Token::Kind::kWord;
  if (first == '"' || first == '\'') {
    TakeQuoted(&token, fault);
    return token;
  }
  while (!done() && !IsBlank(text_[at_]) && text_[at_] != ';' && text_[at_] != '{') {
    const char c = Take();
    if (c == '\\') {
      TakeEscaped(&token.text);
      continue;
    }
    token.text += c;
    // "${name}" is part of a word.
    if (c == '$' && !done() && text_[at_] == '{') token.text += Take();
  }
  return token;
}

bool Lexer::SkipCode() {
  for (int depth = 1; !done();) {
    const char c = Take();
    if (c == '{') ++depth;
    if (c == '}' && --depth == 0) return true;
  }
  return false;
}

class Reader {
 public:
  Reader(const ImportOptions& options, ImportDraft* draft)
      : draft_(draft), follow_(options.follow_includes) {
    const size_t slash = options.file.rfind('/');
    if (slash != std::string::npos) directory_ = options.file.substr(0, slash + 1);
  }

  // `file`: what messages call it.
  void ReadFile(std::string_view text, const std::string& file, std::vector<NginxDirective>* out);

 private:
  // The directives up to the "}" of a block, or the file's end.
  void ReadBlock(Lexer* lexer, const NginxDirective* opened, std::vector<NginxDirective>* out);
  // What begins with a word. False: reading ends here.
  bool ReadDirective(Lexer* lexer, Token word, std::vector<NginxDirective>* out);
  bool OpenBlock(Lexer* lexer, NginxDirective* directive);
  void Include(const NginxDirective& directive, std::vector<NginxDirective>* out);
  bool Fault(const SourcePosition& at, const std::string& text) {
    draft_->Fault(at, text);
    return stopped_ = true, false;
  }

  ImportDraft* draft_;
  bool follow_;
  std::string directory_;  // with a slash at its end, or empty
  int blocks_ = 0, includes_ = 0;
  size_t bytes_ = 0, files_ = 0, directives_ = 0;
  bool stopped_ = false;  // a fault of syntax: what follows it would only mislead
};

bool Reader::OpenBlock(Lexer* lexer, NginxDirective* directive) {
  directive->is_block = true;
  if (directive->name().ends_with("_by_lua_block")) {
    return lexer->SkipCode() || Fault(directive->at, "the block has no end (a \"}\" is missing)");
  }
  if (++blocks_ > kMaxBlocks) {
    return Fault(directive->at, fmt::format("blocks nest deeper than {}", kMaxBlocks));
  }
  ReadBlock(lexer, directive, &directive->block);
  --blocks_;
  return !stopped_;
}

bool Reader::ReadDirective(Lexer* lexer, Token word, std::vector<NginxDirective>* out) {
  NginxDirective directive;
  directive.at = word.at;
  if (++directives_ > kMaxDirectives)
    return Fault(word.at, "there are more than 200000 directives");
  directive.words.push_back(std::move(word.text));
  std::string fault;
  for (;;) {
    Token token = lexer->Next(&fault);
    if (!fault.empty()) return Fault(token.at, fault);
    if (token.kind == Token::Kind::kWord) {
      directive.words.push_back(std::move(token.text));
      continue;
    }
    if (token.kind == Token::Kind::kSemicolon) break;
    if (token.kind == Token::Kind::kOpen) {
      if (!OpenBlock(lexer, &directive)) return false;
      break;
    }
    return Fault(directive.at, fmt::format("\"{}\" does not end (a \";\" or \"{{\" is missing)",
                                           ImportText(directive.Text())));
  }
  if (directive.name() == "include" && !directive.is_block && directive.size() == 1) {
    Include(directive, out);
  } else {
    out->push_back(std::move(directive));
  }
  return !stopped_;
}

void Reader::ReadBlock(Lexer* lexer, const NginxDirective* opened,
                       std::vector<NginxDirective>* out) {
  std::string fault;
  while (!stopped_) {
    Token token = lexer->Next(&fault);
    if (!fault.empty()) {
      Fault(token.at, fault);
      return;
    }
    switch (token.kind) {
      case Token::Kind::kWord:
        ReadDirective(lexer, std::move(token), out);
        break;
      case Token::Kind::kSemicolon:
        Fault(token.at, "unexpected \";\" (there is no directive before it)");
        break;
      case Token::Kind::kOpen:
        Fault(token.at, "unexpected \"{\" (a block has a name)");
        break;
      case Token::Kind::kClose:
        if (opened == nullptr) Fault(token.at, "unexpected \"}\" (no block is open)");
        return;
      case Token::Kind::kEnd:
        if (opened != nullptr) Fault(opened->at, "the block has no end (a \"}\" is missing)");
        return;
    }
  }
}

void Reader::Include(const NginxDirective& directive, std::vector<NginxDirective>* out) {
  const std::string& pattern = directive.arg(0);
  const auto remark = [&](std::string_view why) {
    draft_->Remark(directive.at,
                   fmt::format("\"include {}\" was not followed: {}", ImportText(pattern), why));
  };
  if (pattern.empty() || pattern.find('\0') != std::string::npos) return remark("it is no path");
  if (!follow_) return remark("files are not read here");
  if (includes_ >= kMaxIncludes) {
    Fault(directive.at, fmt::format("includes nest deeper than {}", kMaxIncludes));
    return;
  }
  const std::string path = pattern[0] == '/' ? pattern : directory_ + pattern;
  // Types and parameters of other protocols say nothing of balancing.
  const std::string_view name = std::string_view(path).substr(path.rfind('/') + 1);
  for (const std::string_view known :
       {"mime.types", "fastcgi_params", "fastcgi.conf", "uwsgi_params", "scgi_params"})
    if (name == known) return;
  glob_t found{};
  const int result = glob(path.c_str(), GLOB_NOSORT, nullptr, &found);
  std::vector<std::string> files;
  if (result == 0) files.assign(found.gl_pathv, found.gl_pathv + found.gl_pathc);
  globfree(&found);
  std::ranges::sort(files);
  const bool wild = path.find_first_of("*?[") != std::string::npos;
  if (files.empty() && !wild) return remark("there is no such file here");
  ++includes_;
  for (const std::string& file : files) {
    const Result<std::string> text = ReadConfigFile(file);
    if (!text) {
      remark(ImportText(file, 200) + " " + text.error().detail());
    } else if (!stopped_) {
      ReadFile(*text, ImportText(file, 200), out);
    }
  }
  --includes_;
}

void Reader::ReadFile(std::string_view text, const std::string& file,
                      std::vector<NginxDirective>* out) {
  bytes_ += text.size();
  if (bytes_ > kMaxBytes || ++files_ > kMaxFiles) {
    Fault(MakePosition(file),
          "the files are more than 16m or 4096 together (an include in a circle?)");
    return;
  }
  if (text.starts_with("\xef\xbb\xbf")) text.remove_prefix(3);
  const size_t nul = text.find('\0');
  if (nul != std::string_view::npos) {
    const auto line = std::ranges::count(text.substr(0, nul), '\n') + 1;
    Fault(MakePosition(file, static_cast<uint32_t>(line), 1),
          "the file has a NUL byte (is it a configuration?)");
    return;
  }
  Lexer lexer(text, file);
  ReadBlock(&lexer, nullptr, out);
}

}  // namespace

std::string NginxDirective::Text() const { return fmt::format("{}", fmt::join(words, " ")); }

const NginxDirective* NginxDirective::Find(std::string_view wanted) const {
  const auto found = std::ranges::find(block, wanted, &NginxDirective::name);
  return found == block.end() ? nullptr : &*found;
}

std::vector<NginxDirective> ReadNginx(std::string_view text, const ImportOptions& options,
                                      ImportDraft* draft) {
  std::vector<NginxDirective> out;
  Reader(options, draft).ReadFile(text, options.name, &out);
  return out;
}

}  // namespace ub
