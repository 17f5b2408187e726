#include "http/headers.h"

#include <algorithm>
#include <cstdint>
#include <cstring>

#include "http/char_class.h"
#include "http/char_scan.h"

namespace ub {
namespace {

constexpr char LowerOf(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c; }

template <class Word>
inline Word Load(const char* p) {
  Word word;
  std::memcpy(&word, p, sizeof word);
  return word;
}

// Whether `size` bytes of `name` are those of `lower`, but for the case of letters: a word at a time, the last one
// overlapping the one before. `lower` holds small letters, digits and hyphens: of these only letters have the bit 0x40,
// and half of it is what tells the cases apart.
template <class Word>
inline bool SameWords(const char* name, const char* lower, size_t size) {
  constexpr uint64_t kLetter = static_cast<Word>(0x4040404040404040u);
  uint64_t differ = 0;
  const auto compare = [&](size_t at) {
    const uint64_t wanted = Load<Word>(lower + at);
    differ |= (Load<Word>(name + at) | (wanted & kLetter) >> 1) ^ wanted;
  };
  for (size_t at = 0; at + sizeof(Word) < size; at += sizeof(Word)) compare(at);
  compare(size - sizeof(Word));
  return differ == 0;
}

// `lower` is a field name in lower case, as long as `name`.
inline HeaderId IfIs(std::string_view name, std::string_view lower, HeaderId id) {
  bool same;
  if (lower.size() >= 8) {
    same = SameWords<uint64_t>(name.data(), lower.data(), lower.size());
  } else if (lower.size() >= 4) {
    same = SameWords<uint32_t>(name.data(), lower.data(), lower.size());
  } else {
    same = SameWords<uint16_t>(name.data(), lower.data(), lower.size());
  }
  return same ? id : HeaderId::kOther;
}

// The names that are more than one of a length; told apart by their first letter, or a later one
// where that is equal.
HeaderId SixOrSeven(std::string_view name) {
  switch (LowerOf(name[0])) {
    case 'a':
      return name.size() == 6 ? IfIs(name, "accept", HeaderId::kAccept) : HeaderId::kOther;
    case 'c':
      return name.size() == 6 ? IfIs(name, "cookie", HeaderId::kCookie) : HeaderId::kOther;
    case 'e':
      return name.size() == 6 ? IfIs(name, "expect", HeaderId::kExpect) : HeaderId::kOther;
    case 'u':
      return name.size() == 7 ? IfIs(name, "upgrade", HeaderId::kUpgrade) : HeaderId::kOther;
    default:
      return HeaderId::kOther;
  }
}

HeaderId NineTenOrTwelve(std::string_view name) {
  const char first = LowerOf(name[0]);
  switch (name.size()) {
    case 9:
      if (first == 'f') {
        return IfIs(name, "forwarded", HeaderId::kForwarded);
      }
      return IfIs(name, "x-real-ip", HeaderId::kXRealIp);
    case 10:
      if (first == 'c') {
        return IfIs(name, "connection", HeaderId::kConnection);
      }
      return IfIs(name, "keep-alive", HeaderId::kKeepAlive);
    default:
      if (first == 'c') {
        return IfIs(name, "content-type", HeaderId::kContentType);
      }
      return IfIs(name, "x-request-id", HeaderId::kXRequestId);
  }
}

HeaderId FourteenToSeventeen(std::string_view name) {
  switch (name.size()) {
    case 14:
      if (LowerOf(name[0]) == 'c') {
        return IfIs(name, "content-length", HeaderId::kContentLength);
      }
      return IfIs(name, "http2-settings", HeaderId::kHttp2Settings);
    case 15:
      return IfIs(name, "x-forwarded-for", HeaderId::kXForwardedFor);
    case 16:
      if (LowerOf(name[0]) == 'p') {
        return IfIs(name, "proxy-connection", HeaderId::kProxyConnection);
      }
      return IfIs(name, "x-forwarded-host", HeaderId::kXForwardedHost);
    default:
      if (LowerOf(name[0]) == 't') {
        return IfIs(name, "transfer-encoding", HeaderId::kTransferEncoding);
      }
      return IfIs(name, "x-forwarded-proto", HeaderId::kXForwardedProto);
  }
}

}  // namespace

HeaderId HeaderIdOf(std::string_view name) {
  switch (name.size()) {
    case 2:
      return IfIs(name, "te", HeaderId::kTe);
    case 4:
      return LowerOf(name[0]) == 'h' ? IfIs(name, "host", HeaderId::kHost)
                                     : IfIs(name, "date", HeaderId::kDate);
    case 6:
    case 7:
      return SixOrSeven(name);
    case 9:
    case 10:
    case 12:
      return NineTenOrTwelve(name);
    case 14:
    case 15:
    case 16:
    case 17:
      return FourteenToSeventeen(name);
    default:
      return HeaderId::kOther;
  }
}

bool SameVariable(std::string_view name, std::string_view known) {
  return std::ranges::equal(name, known, [](char a, char b) {
    if (a == '_') a = '-';
    return (a >= 'A' && a <= 'Z' ? static_cast<char>(a - 'A' + 'a') : a) == b;
  });
}

bool EqualsIgnoreCase(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) {
    return false;
  }
  if (a == b) {  // most often, and the library compares words
    return true;
  }
  for (size_t i = 0; i < a.size(); ++i) {
    if (LowerOf(a[i]) != LowerOf(b[i])) {
      return false;
    }
  }
  return true;
}

bool ListHasToken(std::string_view list, std::string_view token) {
  while (!list.empty()) {
    const size_t comma = list.find(',');
    if (EqualsIgnoreCase(TrimBlanks(list.substr(0, comma)), token)) {
      return true;
    }
    if (comma == std::string_view::npos) {
      break;
    }
    list.remove_prefix(comma + 1);
  }
  return false;
}

const HeaderField* FindHeader(const HeaderList& headers, HeaderId id) {
  for (const HeaderField& field : headers) {
    if (field.id == id) {
      return &field;
    }
  }
  return nullptr;
}

const HeaderField* FindHeader(const HeaderList& headers, std::string_view name) {
  for (const HeaderField& field : headers) {
    if (EqualsIgnoreCase(field.name, name)) {
      return &field;
    }
  }
  return nullptr;
}

bool IsToken(std::string_view text) {
  const char* const end = text.data() + text.size();
  return !text.empty() && SkipChars(text.data(), end, kCharToken) == end;
}

}  // namespace ub
