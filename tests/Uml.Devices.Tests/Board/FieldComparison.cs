using System.Reflection;
using System.Runtime.CompilerServices;

namespace Uml.Devices.Tests.Board;

/// <summary>
/// Compares two devices field by field: whatever a field holds that is not the same in a restored device was forgotten when it was saved, also
/// when no guest could tell yet.
/// </summary>
internal sealed class FieldComparison
{
    /// <summary>Fields that hold no state of a guest's machine, each for a reason.</summary>
    private static readonly HashSet<string> Excluded =
    [
        // A ring begins anew where it is restored, and holds nothing behind its end.
        "Uart16550._fifo", "Uart16550._fifoStart", "Uart16550._returned", "UartTransmitter._buffer", "KernelPanicMonitor._line",

        // Whether an action waits on the machine's thread; a restored port asks for one.
        "Uart16550._servicePosted",

        // What a state said that was restored: of no use behind that.
        "Bar.<WasClaimed>k__BackingField",
    ];

    private readonly HashSet<object> _visited = new(ReferenceEqualityComparer.Instance);
    private readonly List<string> _differences = [];

    /// <summary>The fields that differ.</summary>
    public static IReadOnlyList<string> Compare(object expected, object actual)
    {
        FieldComparison comparison = new();
        comparison.Visit(expected, actual, expected.GetType().Name);
        return comparison._differences;
    }

    private static bool IsValue(Type type) => type.IsPrimitive || type.IsEnum || type == typeof(string);

    private void Visit(object expected, object actual, string path)
    {
        if (!expected.GetType().IsValueType && !_visited.Add(expected))
        {
            return;
        }

        for (Type? type = expected.GetType(); type is not null && type.Assembly == typeof(Uml.Devices.Board.StandardBoard).Assembly; type = type.BaseType)
        {
            foreach (FieldInfo field in type.GetFields(BindingFlags.Instance | BindingFlags.Public | BindingFlags.NonPublic | BindingFlags.DeclaredOnly))
            {
                if (!Excluded.Contains($"{type.Name}.{field.Name}"))
                {
                    Compare(field.GetValue(expected), field.GetValue(actual), $"{path}.{field.Name}");
                }
            }
        }
    }

    private void Compare(object? expected, object? actual, string path)
    {
        if (expected is Array { Rank: 1 } items && actual is Array others && items.Length == others.Length)
        {
            for (int i = 0; i < items.Length; i++)
            {
                Compare(items.GetValue(i), others.GetValue(i), $"{path}[{i}]");
            }
        }
        else if (expected is null || actual is null || IsValue(expected.GetType()))
        {
            if (!Equals(expected, actual))
            {
                _differences.Add($"{path}: {expected ?? "null"}, restored {actual ?? "null"}");
            }
        }
        else if (expected.GetType().GetCustomAttribute<InlineArrayAttribute>() is null)
        {
            Visit(expected, actual, path);
        }
    }
}
