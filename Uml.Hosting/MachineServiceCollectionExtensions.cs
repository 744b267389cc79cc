using System.Diagnostics.Metrics;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Uml.Core;
using Uml.Core.Boot;
using Uml.Core.Cpu;
using Uml.Core.Machine;
using Uml.Hosting.Assets;
using Uml.Hosting.CommandLine;

namespace Uml.Hosting;

/// <summary>Registers machines with an application's host.</summary>
public static class MachineServiceCollectionExtensions
{
    /// <summary>
    /// Registers a machine with the standard board: a singleton <see cref="IVirtualMachine"/> with the machine's name as its key (the
    /// first one also without), built when it is asked for, and started and stopped with the host.
    /// </summary>
    /// <remarks>
    /// The machine gets the host's logging, metrics and <see cref="TimeProvider"/>; it has a service container of its own. Kernel packages
    /// named in settings come from the <see cref="GuestAssetCache"/> among the host's services, if there is one.
    /// </remarks>
    /// <param name="services">The host's services.</param>
    /// <param name="name">The machine's name.</param>
    /// <param name="configure">Composes the machine; is given the host's services too.</param>
    /// <param name="options">Options; null for the defaults.</param>
    public static IServiceCollection AddVirtualMachine(
        this IServiceCollection services,
        string name,
        Action<VirtualMachineBuilder, IServiceProvider> configure,
        MachineHostOptions? options = null)
    {
        ArgumentNullException.ThrowIfNull(services);
        ArgumentException.ThrowIfNullOrWhiteSpace(name);
        ArgumentNullException.ThrowIfNull(configure);
        services.AddKeyedSingleton(name, (host, _) => Build(host, name, configure));
        services.TryAddSingleton(host => host.GetRequiredKeyedService<IVirtualMachine>(name));
        services.AddSingleton<IHostedService>(host => new MachineHostedService(host, name, options ?? new MachineHostOptions()));
        return services;
    }

    /// <summary>Registers a machine as a configuration section describes it; the keys are those of <see cref="MachineSettings"/>.</summary>
    /// <param name="services">The host's services.</param>
    /// <param name="name">The machine's name.</param>
    /// <param name="section">The section.</param>
    /// <param name="configure">Composes what configuration does not; null adds nothing.</param>
    /// <param name="options">Options; null for the defaults.</param>
    public static IServiceCollection AddVirtualMachine(
        this IServiceCollection services,
        string name,
        IConfiguration section,
        Action<VirtualMachineBuilder, IServiceProvider>? configure = null,
        MachineHostOptions? options = null)
    {
        ArgumentNullException.ThrowIfNull(section);
        return services.AddVirtualMachine(
            name,
            (builder, host) =>
            {
                builder.Configure(section, host.GetService<GuestAssetCache>());
                configure?.Invoke(builder, host);
            },
            options);
    }

    /// <summary>Configures a machine by a configuration section with the keys of <see cref="MachineSettings"/>.</summary>
    /// <param name="builder">The machine.</param>
    /// <param name="section">The section.</param>
    /// <param name="assets">Where packages that it names come from, when the machine starts; null is the default cache.</param>
    /// <exception cref="MachineConfigurationException">A value is wrong; the message says what to write.</exception>
    public static VirtualMachineBuilder Configure(this VirtualMachineBuilder builder, IConfiguration section, GuestAssetCache? assets = null)
    {
        ArgumentNullException.ThrowIfNull(builder);
        ArgumentNullException.ThrowIfNull(section);
        RefuseUnknownKeys(section);
        RefuseUnlessNamed<BootProtocol>(section, nameof(MachineSettings.Protocol));
        RefuseUnlessNamed<ClockMode>(section, nameof(MachineSettings.ClockMode));
        RefuseUnlessNamed<RebootAction>(section, nameof(MachineSettings.OnReboot));
        RefuseUnlessNamed<CpuEngine>(section, nameof(MachineSettings.Engine));
        RefuseUnlessNamed<CpuModel>(section, nameof(MachineSettings.CpuModel));
        RefuseUnlessNamed<TranslationCheck>(section, nameof(MachineSettings.TranslationCheck));
        RefuseEmpty(section, nameof(MachineSettings.Seed), "a number");
        RefuseEmpty(section, nameof(MachineSettings.StartTime), "a date and time");
        MachineSettings settings = new();
        try
        {
            section.Bind(settings);
        }
        catch (InvalidOperationException e)
        {
            throw new MachineConfigurationException($"The machine's configuration cannot be read: {e.Message}", e);
        }

        BootFile? kernel = GetFile(nameof(settings.Kernel), settings.Kernel, NamedFile.Kernel, assets);
        BootFile? initrd = GetFile(nameof(settings.Initrd), settings.Initrd, NamedFile.Initrd, assets);
        return builder.Configure(machine => Apply(settings, machine)).ConfigureBoot(boot =>
        {
            boot.Protocol = settings.Protocol ?? boot.Protocol;
            boot.Kernel = kernel ?? boot.Kernel;
            boot.Initrd = initrd ?? boot.Initrd;
            boot.CommandLine = settings.CommandLine is { } commandLine ? UmlDeviceNames.Map(commandLine) : boot.CommandLine;
        });
    }

    private static void Apply(MachineSettings settings, MachineOptions machine)
    {
        machine.ClockMode = settings.ClockMode ?? machine.ClockMode;
        machine.OnReboot = settings.OnReboot ?? machine.OnReboot;
        machine.StartTime = settings.StartTime ?? machine.StartTime;
        machine.RandomSeed = settings.Seed ?? machine.RandomSeed;
        machine.Cpu.Engine = settings.Engine ?? machine.Cpu.Engine;
        machine.Cpu.Model = settings.CpuModel ?? machine.Cpu.Model;
        machine.Cpu.TranslationCheck = settings.TranslationCheck ?? machine.Cpu.TranslationCheck;
        if (settings.Memory is { } memory)
        {
            machine.MemorySize = memory.Length > 0 && memory.All(char.IsAsciiDigit)
                ? throw new MachineConfigurationException($"Memory is '{memory}', of which unit? Write {memory}M for mebibytes, or {memory}B for bytes.")
                : ByteSize.TryParse(memory, out ulong bytes, out string? problem)
                    ? bytes
                    : throw new MachineConfigurationException($"Memory: {problem}");
        }
    }

    private static BootFile? GetFile(string key, string? name, Func<string, GuestAssetCache?, BootFile> open, GuestAssetCache? assets) => name switch
    {
        null => null,
        "" => throw new MachineConfigurationException($"{key} is empty; name a file or a package, or leave the key out."),
        _ => open(name, assets),
    };

    private static void RefuseUnknownKeys(IConfiguration section)
    {
        string[] known = [.. typeof(MachineSettings).GetProperties().Select(property => property.Name)];
        string[] unknown = [.. section.GetChildren().Select(child => child.Key).Except(known, StringComparer.OrdinalIgnoreCase)];
        if (unknown.Length > 0)
        {
            throw new MachineConfigurationException(
                $"The machine's configuration has {string.Join(" and ", unknown.Select(key => $"'{key}'"))}; the keys are {string.Join(", ", known)}.");
        }
    }

    // The binder accepts numbers and lists of names as well, and treats an empty value as a missing one: an empty TranslationCheck would
    // silently leave the check off.
    private static void RefuseUnlessNamed<T>(IConfiguration section, string key)
        where T : struct, Enum
    {
        string[] names = Enum.GetNames<T>();
        string choices = $"{string.Join(", ", names[..^1])} or {names[^1]}";
        RefuseEmpty(section, key, choices);
        if (section[key] is { } value && !names.Contains(value, StringComparer.OrdinalIgnoreCase))
        {
            throw new MachineConfigurationException($"{key} is '{value}'; write {choices}, or leave the key out.");
        }
    }

    private static void RefuseEmpty(IConfiguration section, string key, string choices)
    {
        if (section[key] is "")
        {
            throw new MachineConfigurationException($"{key} is empty; write {choices}, or leave the key out.");
        }
    }

    private static IVirtualMachine Build(IServiceProvider host, string name, Action<VirtualMachineBuilder, IServiceProvider> configure)
    {
        VirtualMachineBuilder builder = UmlMachine.CreateDefaultBuilder().Configure(machine => machine.Name = name);

        // Instances of the host's, which the machine's container does not dispose.
        Share<ILoggerFactory>(host, builder);
        Share<IMeterFactory>(host, builder);
        Share<TimeProvider>(host, builder);
        configure(builder, host);
        return builder.Build();
    }

    private static void Share<TService>(IServiceProvider host, VirtualMachineBuilder builder)
        where TService : class
    {
        if (host.GetService<TService>() is { } service)
        {
            builder.Services.AddSingleton(service);
        }
    }
}
