using System.CommandLine;
using System.CommandLine.Parsing;
using System.Globalization;
using Uml.Storage.Tools;

namespace DiskImages;

/// <summary>The options that commands which copy have in common.</summary>
internal sealed class CopyOptions
{
    private readonly Option<string?> _backing = new("--backing", "-b") { Description = "Where the image below is, if not where the file says.", HelpName = "file" };
    private readonly Option<string?> _backingFormat = new Option<string?>("--backing-format", "-F")
    {
        Description = "The format of the image below a qcow2 image, if the file does not say.",
        HelpName = "raw|qcow2",
    }.AcceptOnlyFromAmong("raw", "qcow2");

    private readonly Option<bool> _acceptsChanged = new("--accept-changed")
    {
        Description = "Accepts an image below whose date is not the one in the file: after a copy that lost it, or a merge that was cut off.",
    };

    private readonly Option<bool> _overwrites = new("--force") { Description = "Replaces an image of that name, when the new one is complete." };
    private readonly Option<bool> _keepsZeroes = new("--keep-zeroes") { Description = "Writes stored zeroes as data, instead of holes." };
    private readonly Option<int> _parallel = new("--parallel")
    {
        Description = "Requests at once, 1 to 64.",
        DefaultValueFactory = _ => 4,
        HelpName = "number",
        CustomParser = ParseParallel,
    };

    public void AddTo(Command command)
    {
        _backing.Validators.Add(CommandLine.RefuseEmptyNames);
        command.Options.Add(_backing);
        command.Options.Add(_backingFormat);
        command.Options.Add(_acceptsChanged);
        command.Options.Add(_overwrites);
        command.Options.Add(_keepsZeroes);
        command.Options.Add(_parallel);
    }

    public DiskCopyOptions Get(ParseResult result) => new()
    {
        BackingPath = result.GetValue(_backing),
        BackingFormat = DiskImageFormatName.TryParse(result.GetValue(_backingFormat), out DiskImageFormat format) ? format : null,
        AcceptsChangedTime = result.GetValue(_acceptsChanged),
        Overwrites = result.GetValue(_overwrites),
        FindsZeroes = !result.GetValue(_keepsZeroes),
        ParallelRequests = result.GetValue(_parallel),
    };

    private static int ParseParallel(ArgumentResult result)
    {
        if (int.TryParse(result.Tokens[0].Value, CultureInfo.InvariantCulture, out int number) && number is >= 1 and <= 64)
        {
            return number;
        }

        result.AddError("--parallel takes a number from 1 to 64.");
        return default;
    }
}
