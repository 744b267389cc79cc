using System.Reflection;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Uml.Core.Cpu.State;

namespace Uml.Core.Tests.Cpu.Registers;

/// <summary>The fields of a processor's architectural state, found by reflection: one that is added is among them.</summary>
internal static unsafe class StateFields
{
    /// <summary>Fields that no register is for, and why.</summary>
    public static IReadOnlyDictionary<string, string> Exceptions { get; } = new Dictionary<string, string>
    {
        ["Features"] = "what the CPU model has, settled when the processor is made",
    };

    /// <summary>Fields whose bytes may differ while what they mean is the same.</summary>
    public static IReadOnlyDictionary<string, string> Ambiguous { get; } = new Dictionary<string, string>
    {
        ["FlagResult"] = "flags are kept as a result that they follow from, and many results have the same; RFLAGS is compared",
        ["FlagAux"] = "likewise",
    };

    /// <summary>The bytes of each field, arrays and structures of the state's own by their parts.</summary>
    public static Dictionary<string, byte[]> Read(CpuState* state)
    {
        Dictionary<string, byte[]> fields = [];
        Add(fields, "", *state);
        return fields;
    }

    private static void Add(Dictionary<string, byte[]> fields, string prefix, object value)
    {
        foreach (FieldInfo field in value.GetType().GetFields(BindingFlags.Instance | BindingFlags.Public | BindingFlags.NonPublic))
        {
            if (field.FieldType == typeof(HotWords))
            {
                // Scratch of translated code, without meaning while the guest does not run.
                continue;
            }

            string name = prefix + field.Name;
            object part = field.GetValue(value)!;
            Type type = field.FieldType;
            Type? element = ElementOf(field);
            if (element is not null)
            {
                AddElements(fields, name, Bytes(part), RuntimeHelpers.SizeOf(element.TypeHandle));
            }
            else if (type.Namespace == typeof(CpuState).Namespace && !type.IsEnum)
            {
                Add(fields, name + ".", part);
            }
            else
            {
                fields.Add(name, Bytes(part));
            }
        }
    }

    private static void AddElements(Dictionary<string, byte[]> fields, string name, byte[] bytes, int size)
    {
        for (int i = 0; i < bytes.Length / size; i++)
        {
            fields.Add($"{name}[{i}]", bytes.AsSpan(i * size, size).ToArray());
        }
    }

    private static Type? ElementOf(FieldInfo field) =>
        field.GetCustomAttribute<FixedBufferAttribute>()?.ElementType
        ?? (field.FieldType.GetCustomAttribute<InlineArrayAttribute>() is null
            ? null
            : field.FieldType.GetFields(BindingFlags.Instance | BindingFlags.Public | BindingFlags.NonPublic)[0].FieldType);

    private static byte[] Bytes(object boxed)
    {
        // SAFETY: the data of a boxed value begins where the one field of a StrongBox does, and has the size of its type.
        ref byte first = ref Unsafe.As<StrongBox<byte>>(boxed).Value;
        return MemoryMarshal.CreateReadOnlySpan(ref first, RuntimeHelpers.SizeOf(boxed.GetType().TypeHandle)).ToArray();
    }
}
