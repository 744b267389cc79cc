using System.Collections.Frozen;
using System.Collections.Immutable;
using System.Reflection;
using System.Runtime.CompilerServices;
using System.Text;
using System.Text.RegularExpressions;

namespace Uml.Conventions.Tests;

/// <summary>Machines share nothing: no library keeps state in static fields.</summary>
[TestFixture]
public sealed class StaticStateTests
{
    private const BindingFlags Statics = BindingFlags.Static | BindingFlags.Public | BindingFlags.NonPublic | BindingFlags.DeclaredOnly;
    private const BindingFlags Instances = BindingFlags.Instance | BindingFlags.Public | BindingFlags.NonPublic;

    private static readonly Type[] Immutable =
        [typeof(string), typeof(Regex), typeof(Encoding), typeof(Type), typeof(TimeProvider), typeof(StringComparer), typeof(Version)];

    private static readonly Type[] ImmutableGenerics =
    [
        typeof(FrozenDictionary<,>), typeof(FrozenSet<>), typeof(ImmutableArray<>), typeof(ImmutableDictionary<,>), typeof(ImmutableList<>),
        typeof(System.Buffers.SearchValues<>), typeof(ReadOnlyMemory<>), typeof(KeyValuePair<,>),
    ];

    [TestCaseSource(typeof(Repository), nameof(Repository.Libraries))]
    public void No_static_field_can_change(string library)
    {
        IEnumerable<string> offenders = Fields(library)
            .Where(field => field is { IsLiteral: false, IsInitOnly: false } || field.IsDefined(typeof(ThreadStaticAttribute)))
            .Select(Describe);
        Assert.That(offenders, Is.Empty, "Make it an instance's, or readonly.");
    }

    [TestCaseSource(typeof(Repository), nameof(Repository.Libraries))]
    public void No_static_field_holds_something_that_can_change(string library)
    {
        IEnumerable<string> offenders = Fields(library).Where(field => !field.IsLiteral && !IsConstant(GetType(field), 0)).Select(Describe);
        Assert.That(offenders, Is.Empty, "Arrays count as constant tables; collections that can grow, locks and caches belong to an instance.");
    }

    private static IEnumerable<FieldInfo> Fields(string library) => Repository.Load(library).GetTypes()
        .Where(type => !IsCompilerMade(type))
        .SelectMany(type => type.GetFields(Statics))
        .Where(field => !field.Name.StartsWith("<>", StringComparison.Ordinal));

    /// <summary>Holders of static lambdas and of constant data: caches of what cannot change.</summary>
    private static bool IsCompilerMade(Type? type) =>
        type is not null && (type.Name.StartsWith('<') || type.IsDefined(typeof(CompilerGeneratedAttribute), false) || IsCompilerMade(type.DeclaringType));

    /// <summary>The type of what the field holds; lists that cannot be written to are what they are made of.</summary>
    private static Type GetType(FieldInfo field)
    {
        Type type = field.FieldType;
        return type.IsGenericType && type.GetGenericTypeDefinition() == typeof(IReadOnlyList<>)
            && field.GetValue(null)!.GetType() is { } held && (held.IsArray || held.Name.StartsWith("<>z__ReadOnly", StringComparison.Ordinal))
            ? type.GenericTypeArguments[0]
            : type;
    }

    private static bool IsConstant(Type type, int depth)
    {
        if (type.IsPrimitive || type.IsEnum || type.IsPointer || type.IsFunctionPointer || type.IsSubclassOf(typeof(Delegate)))
        {
            return true;
        }

        if (type.IsArray)
        {
            return IsConstant(type.GetElementType()!, depth);
        }

        if (Array.Exists(Immutable, known => known.IsAssignableFrom(type))
            || (type.IsGenericType && Array.Exists(ImmutableGenerics, known => Derives(type, known))))
        {
            return true;
        }

        if (type.IsValueType && !type.Assembly.GetName().Name!.StartsWith("Uml.", StringComparison.Ordinal))
        {
            return true;
        }

        // A type of ours is constant when nothing in it can be assigned after construction; a struct in a readonly field cannot be.
        return depth < 4 && type.Assembly.GetName().Name!.StartsWith("Uml.", StringComparison.Ordinal)
            && Array.TrueForAll(type.GetFields(Instances), field => (type.IsValueType || field.IsInitOnly) && IsConstant(field.FieldType, depth + 1));
    }

    private static bool Derives(Type type, Type generic)
    {
        for (Type? current = type; current is not null; current = current.BaseType)
        {
            if (current.IsGenericType && current.GetGenericTypeDefinition() == generic)
            {
                return true;
            }
        }

        return false;
    }

    private static string Describe(FieldInfo field) => $"{field.DeclaringType}.{field.Name} ({field.FieldType.Name})";
}
